#include "train/start_from.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <vector>

#include "base/error.h"
#include "store/model_directory.h"

namespace megin::train {
namespace {

bool may_be_missing(const std::string& name) {
  return name.find("router.") != std::string::npos || name.starts_with("mixture.");
}

void check_subwords(const store::ModelDirectory& model, const data::PreparedData& data) {
  const text::SubwordModel source(model.subwords.source), target(model.subwords.target);
  if (source.checksum() == data.source_subword->checksum() &&
      target.checksum() == data.target_subword->checksum()) {
    return;
  }
  fail("{}: its subwords are not those of {}; prepare the data with data.subword.model={}",
       model.path.string(), data.folder.string(), model.subwords.source.string());
}

}  // namespace

void start_from(const std::filesystem::path& path, const data::PreparedData& data, TrainingState& state,
                Console& console) {
  const store::ModelDirectory model = store::open_model_directory(path);
  check_subwords(model, data);
  net::ParameterMemory& parameters = state.model.parameters();
  std::vector<std::string> drawn, left_over;
  for (const net::Parameter& parameter : parameters.all()) {
    const store::TensorView* const found = model.weights.find(parameter.name);
    if (found == nullptr && may_be_missing(parameter.name)) {
      drawn.push_back(parameter.name);
      continue;
    }
    if (found == nullptr || found->shape != parameter.shape) {
      fail("{}: wanted tensor {} {}, found {}; the recipe's section model must be that of the model{}",
           path.string(), parameter.name, store::shape_text(parameter.shape),
           found == nullptr ? "none" : store::shape_text(found->shape),
           parameter.experts > 0 ? " (megin convert makes experts of a dense one)" : "");
    }
    std::ranges::copy(store::float_values(*found), parameters.values_of(parameter).begin());
  }
  for (const store::TensorView& tensor : model.weights.tensors()) {
    const auto& all = parameters.all();
    if (std::ranges::find(all, tensor.name, &net::Parameter::name) == all.end())
      left_over.push_back(tensor.name);
  }
  const auto values = parameters.values();
  if (!state.optimizer.average.empty()) std::ranges::copy(values, state.optimizer.average.begin());
  if (console.quiet()) return;
  console.print(fmt::format("begins with the weights of {}", path.string()));
  if (!drawn.empty()) console.print(fmt::format("drawn, as it has none: {}", fmt::join(drawn, ", ")));
  if (!left_over.empty()) console.print(fmt::format("not used of it: {}", fmt::join(left_over, ", ")));
}

}  // namespace megin::train
