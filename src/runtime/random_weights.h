// Weights of a model that nobody trained: for benchmarks and tests. The numbers are of the size that training
// gives, so that activations neither vanish nor overflow.
#pragma once

#include <cstdint>

#include "runtime/weights.h"

namespace megin::runtime {

// A source of all tensors of store::tensor_shapes(config): norms near 1, biases and the rest uniform around 0
// with variance 1 / width. Pure in (config, seed). Holds the values in memory as long as it or a copy lives.
TensorSource random_weights(const config::ModelConfig& config, uint64_t seed);

}  // namespace megin::runtime
