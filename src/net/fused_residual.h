// The end and the beginning of a sublayer as single operations, each one pass over memory forward and one
// backward: LayerNorm(x + dropout(h)) of a post-norm model; x + dropout(h) and LayerNorm(x) of a pre-norm
// one. Dropout, addition and Norm one after the other are their twins.
#pragma once

#include <ATen/core/Tensor.h>

#include "net/forward_context.h"

namespace megin::net {

struct LayerNormParameters {
  const at::Tensor& weight;  // [d]
  const at::Tensor& bias;    // [d]
  double epsilon = 1e-5;
};

// All: x, h: [rows, d], fp32, on the CPU; rows divisible by mask.passes. Return [rows, d]. Differentiable in
// x, h, weight and bias. The gradients of weight and bias are summed over fixed blocks of rows in order: the
// same at any thread count.
at::Tensor fused_residual_norm(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                               const LayerNormParameters& norm);
at::Tensor fused_residual(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask);
at::Tensor fused_norm(const at::Tensor& x, const LayerNormParameters& norm);

}  // namespace megin::net
