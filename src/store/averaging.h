// The arithmetic mean of several models' weights: usually the last checkpoints of one run (thor spec 4.7).
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "store/safetensors.h"

namespace megin::store {

// The tensors of `file` whose names begin with `prefix`: kValuePrefix for a checkpoint's state.safetensors,
// empty for a model.safetensors.
struct WeightSource {
  const SafetensorsFile* file = nullptr;
  std::string prefix;
};

// A tensor that owns its values.
struct FloatTensor {
  std::string name;  // without the prefix
  std::vector<int64_t> shape;
  std::vector<float> values;

  TensorView view() const { return float_tensor(name, shape, values); }
};

// The mean of each tensor, summed in fp64 and rounded once to fp32, in the order of the first source. Memory:
// one model. Throws Error naming the tensor when names or shapes differ, UsageError when there is no source.
std::vector<FloatTensor> average_weights(std::span<const WeightSource> sources);

// Views of all of them.
std::vector<TensorView> views(std::span<const FloatTensor> tensors);

}  // namespace megin::store
