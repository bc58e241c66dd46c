#include "store/averaging.h"

#include <algorithm>

#include "base/error.h"

namespace megin::store {
namespace {

// The tensors of a source, in their order in the file.
std::vector<const TensorView*> tensors_of(const WeightSource& source) {
  std::vector<const TensorView*> tensors;
  for (const TensorView& tensor : source.file->tensors()) {
    if (tensor.name.starts_with(source.prefix)) tensors.push_back(&tensor);
  }
  if (tensors.empty()) {
    fail("{}: has no weights to average (no tensor begins with '{}')", source.file->path().string(),
         source.prefix);
  }
  return tensors;
}

// The tensor of `source` that goes with one of the first source.
const TensorView& partner(const WeightSource& source, const std::string& name,
                          std::span<const int64_t> shape) {
  const TensorView& tensor = source.file->at(source.prefix + name);
  if (!std::ranges::equal(tensor.shape, shape)) {
    fail(
        "{}: tensor '{}': wanted shape {} as in the first model, found {}; only models of one architecture "
        "can be "
        "averaged",
        source.file->path().string(), name, shape_text(shape), shape_text(tensor.shape));
  }
  return tensor;
}

FloatTensor mean(std::span<const WeightSource> sources, const TensorView& first) {
  FloatTensor result{
      .name = first.name.substr(sources.front().prefix.size()), .shape = first.shape, .values = {}};
  std::vector<double> sum(static_cast<size_t>(element_count(first.shape)), 0.0);
  for (const WeightSource& source : sources) {
    const std::vector<float> values = to_floats(partner(source, result.name, result.shape));
    if (result.name.ends_with("router.table") && values != to_floats(first)) {
      fail(
          "{}: tensor '{}' differs from that of the first model; models whose hash tables were made from "
          "different text cannot be averaged",
          source.file->path().string(), result.name);
    }
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += static_cast<double>(values[i]);
  }
  const auto count = static_cast<double>(sources.size());
  result.values.reserve(sum.size());
  for (const double value : sum) result.values.push_back(static_cast<float>(value / count));
  return result;
}

}  // namespace

std::vector<FloatTensor> average_weights(std::span<const WeightSource> sources) {
  if (sources.empty()) fail_usage("wanted at least one model to average, found none");
  const std::vector<const TensorView*> first = tensors_of(sources.front());
  for (const WeightSource& source : sources.subspan(1)) {
    const size_t found = tensors_of(source).size();
    if (found != first.size()) {
      fail("{}: wanted {} weight tensors as in {}, found {}; only models of one architecture can be averaged",
           source.file->path().string(), first.size(), sources.front().file->path().string(), found);
    }
  }
  std::vector<FloatTensor> means;
  means.reserve(first.size());
  for (const TensorView* tensor : first) means.push_back(mean(sources, *tensor));
  return means;
}

std::vector<TensorView> views(std::span<const FloatTensor> tensors) {
  std::vector<TensorView> result;
  result.reserve(tensors.size());
  for (const FloatTensor& tensor : tensors) result.push_back(tensor.view());
  return result;
}

}  // namespace megin::store
