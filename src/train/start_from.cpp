#include "train/start_from.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "config/computed_part.h"
#include "config/run_config.h"
#include "store/model_directory.h"

namespace megin::train {
namespace {

namespace fs = std::filesystem;

bool is_of_head(const std::string& name) {
  return name.starts_with("classifier.");
}

bool may_be_missing(const std::string& name) {
  return name.find("router.") != std::string::npos || name.ends_with("dropout.logit") ||
         name.starts_with("mixture.") || is_of_head(name);
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

// What shapes do not say, or say less well: all that a model computes but what chooses among experts.
config::ModelConfig architecture(const config::ModelConfig& of) {
  config::ModelConfig config = config::computed_part(of);
  config.classes = 0;
  if (config.positions != config::Positions::kLearned) config.max_length = 2;
  const config::ExpertConfig chosen;
  config.experts.router = chosen.router;
  config.experts.active = chosen.active;
  config.experts.gate = chosen.gate;
  config.experts.noisy = chosen.noisy;
  config.experts.biased = chosen.biased;
  config.experts.hash = chosen.hash;
  config.experts.scales = chosen.scales;  // of the other's training; the new one has none
  config.experts.distilled_input = chosen.distilled_input;
  config.experts.distilled_width = chosen.distilled_width;
  return config;
}

// "experts.count" and so on: the keys in which two models differ.
std::vector<std::string> differences(const config::ModelConfig& one, const config::ModelConfig& other) {
  const auto difference = nlohmann::json::diff(config::model_to_json(one), config::model_to_json(other));
  std::vector<std::string> keys;
  for (const auto& step : difference) {
    std::string key = step.at("path").get<std::string>().substr(1);
    std::ranges::replace(key, '/', '.');
    keys.push_back(std::move(key));
  }
  return keys;
}

void check_architecture(const store::ModelDirectory& found, const config::ModelConfig& wanted) {
  const auto differ = differences(architecture(wanted), architecture(found.description.model));
  if (differ.empty()) return;
  fail("{}: its model differs from the recipe's in {}; they must be the same{}", found.path.string(),
       fmt::format("model.{}", fmt::join(differ, ", model.")),
       wanted.experts.count > 1 && found.description.model.experts.count == 1
           ? " (megin convert makes experts of a dense model)"
           : "");
}

// Training counts by these numbers.
void check_table(const store::ModelDirectory& model, const std::string& name, std::span<const float> table,
                 int64_t experts) {
  for (const float expert : table) {
    if (expert >= 0 && expert < static_cast<float>(experts) && expert == std::floor(expert)) continue;
    fail("{}: tensor {}: wanted whole numbers from 0 to {}, found {}", model.path.string(), name, experts - 1,
         expert);
  }
}

void tell(const std::string& text, Console& console) {
  if (!console.quiet()) console.print(text);
}

}  // namespace

void start_from(const fs::path& path, const data::PreparedData& data, TrainingState& state,
                Console& console) {
  const store::ModelDirectory model = store::open_model_directory(path);
  check_subwords(model, data);
  const config::ModelConfig& wanted = state.model.config();
  check_architecture(model, wanted);
  net::ParameterMemory& parameters = state.model.parameters();
  std::vector<std::string> drawn, left_over;
  for (const net::Parameter& parameter : parameters.all()) {
    const bool other_classes = is_of_head(parameter.name) && model.description.classes != data.classes;
    const store::TensorView* const found = other_classes ? nullptr : model.weights.find(parameter.name);
    if ((found == nullptr || found->shape != parameter.shape) && may_be_missing(parameter.name)) {
      drawn.push_back(parameter.name);
      continue;
    }
    if (found == nullptr || found->shape != parameter.shape) {
      fail("{}: wanted tensor {} {}, found {}", path.string(), parameter.name,
           store::shape_text(parameter.shape), found == nullptr ? "none" : store::shape_text(found->shape));
    }
    const std::span<const float> values = store::float_values(*found);
    if (parameter.name.ends_with("router.table")) {
      check_table(model, parameter.name, values, wanted.experts.count);
    }
    std::ranges::copy(values, parameters.values_of(parameter).begin());
  }
  for (const store::TensorView& tensor : model.weights.tensors()) {
    const auto& all = parameters.all();
    if (std::ranges::find(all, tensor.name, &net::Parameter::name) == all.end() ||
        (is_of_head(tensor.name) && model.description.classes != data.classes)) {
      left_over.push_back(tensor.name);
    }
  }
  const auto values = parameters.values();
  if (!state.optimizer.average.empty()) std::ranges::copy(values, state.optimizer.average.begin());
  tell(fmt::format("begins with the weights of {}", path.string()), console);
  config::ModelConfig as_found = config::computed_part(model.description.model);
  const config::ModelConfig as_wanted = config::computed_part(wanted);
  as_found.classes = as_wanted.classes;  // what became of the head is told below
  if (const auto differ = differences(as_wanted, as_found); !differ.empty()) {
    tell(fmt::format("other than that model's: model.{}", fmt::join(differ, ", model.")), console);
  }
  if (!drawn.empty()) tell(fmt::format("drawn, as it has none: {}", fmt::join(drawn, ", ")), console);
  if (!left_over.empty()) tell(fmt::format("not used of it: {}", fmt::join(left_over, ", ")), console);
}

namespace {

fs::path record_path(const fs::path& run) {
  return run / "begun_from.json";
}

}  // namespace

std::string weights_checksum(const fs::path& model) {
  return fmt::format("{:016x}", file_checksum(model / "model.safetensors"));
}

void remember_start(const fs::path& model, const fs::path& run) {
  const nlohmann::ordered_json record = {{"model", fs::absolute(model).string()},
                                         {"checksum", weights_checksum(model)}};
  write_file_atomically(record_path(run), record.dump(2) + "\n");
}

fs::path begun_from(const fs::path& run) {
  if (!fs::exists(record_path(run))) return {};
  const auto record = nlohmann::json::parse(read_file(record_path(run)), nullptr, false);
  if (!record.is_object() || !record.contains("model") || !record.contains("checksum")) {
    fail("{}: wanted the model that the run began with, found something else", record_path(run).string());
  }
  const fs::path model = record["model"].get<std::string>();
  if (!fs::exists(model / "model.safetensors") || weights_checksum(model) != record["checksum"]) {
    fail(
        "{}: the run began with {}, which is gone or another one now, and has no checkpoint to go on from; "
        "begin "
        "a new run with --from",
        run.string(), model.string());
  }
  return model;
}

}  // namespace megin::train
