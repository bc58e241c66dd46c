// What the ways to rewrite a model have in common: which tensors are of expert layers, and what becomes of
// the configuration.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "store/averaging.h"
#include "store/tensor_names.h"

namespace megin::store {

// The tensors of `model` in their order, each made by `make(name and shape)`.
template <typename Make>
std::vector<FloatTensor> tensors_of(const config::ModelConfig& model, Make&& make) {
  std::vector<FloatTensor> tensors;
  for (const TensorShape& wanted : tensor_shapes(model)) {
    tensors.push_back({.name = wanted.name, .shape = wanted.shape, .values = make(wanted)});
  }
  return tensors;
}

inline std::vector<float> copy_of(std::span<const float> values) {
  return {values.begin(), values.end()};
}

// Whether a tensor is of the experts of an expert layer, or of what chooses among them; the norm of a
// feed-forward is not.
bool is_of_expert_layer(const config::ModelConfig& model, const std::string& name);

// The number of a tensor's expert layer, and of any tensor's layer, over both stacks, encoder first. Throw
// Error for a tensor of no such layer.
int64_t number_of_expert_layer(const config::ModelConfig& model, const std::string& name);
int64_t number_of_layer(const config::ModelConfig& model, const std::string& name);

// The dense model that `model` becomes when an expert layer's feed-forward is `width` wide. Throws UsageError
// where layers would have feed-forwards of different widths.
config::ModelConfig dense_form(const config::ModelConfig& model, int64_t width);

}  // namespace megin::store
