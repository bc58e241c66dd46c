// The end of a post-norm sublayer as one operation: LayerNorm(x + dropout(h)), forward and backward, each one
// pass over memory. Dropout and Norm one after the other are its twin.
#pragma once

#include <ATen/core/Tensor.h>

#include "net/forward_context.h"

namespace megin::net {

struct LayerNormParameters {
  const at::Tensor& weight;  // [d]
  const at::Tensor& bias;    // [d]
  double epsilon = 1e-5;
};

// x, h: [rows, d], fp32; rows divisible by mask.passes. Returns [rows, d]. Differentiable in x, h, weight and
// bias. The gradients of weight and bias are summed over fixed blocks of rows in order: the same at any
// thread count.
at::Tensor fused_residual_norm(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                               const LayerNormParameters& norm);

}  // namespace megin::net
