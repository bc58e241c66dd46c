// fc2(dropout(relu(fc1 x))) as one operation: a part of the rows goes through both products while its inner
// activations are in the cache, forward and backward. The plain form of net/feed_forward.cpp is its twin.
#pragma once

#include <ATen/core/Tensor.h>

#include "net/forward_context.h"

namespace megin::net {

struct FeedForwardParameters {
  const at::Tensor& fc1_weight;  // [f, d]
  const at::Tensor& fc1_bias;    // [f], or undefined
  const at::Tensor& fc2_weight;  // [d, f]
  const at::Tensor& fc2_bias;    // [d], or undefined
};

// x: [rows, d], fp32; activation: the mask of the inner activations, rows divisible by its passes. Returns
// [rows, d]. Differentiable in x and the parameters; the same bytes at any thread count (net/row_parts.h).
at::Tensor fused_feed_forward(const at::Tensor& x, const FeedForwardParameters& parameters,
                              const DropoutMask& activation);

// The same with the inner activations in equal blocks, each times its factor before fc2: experts side by side
// and their gates (SMoE-Dropout with all experts, smoe_dropout spec 4.21). factors: [rows, blocks], which
// divide f; differentiable as well, but for factors of 0, whose gradient is 0 (a softmax that has come to 0
// has none). fc2_bias is added once.
at::Tensor fused_scaled_feed_forward(const at::Tensor& x, const at::Tensor& factors,
                                     const FeedForwardParameters& parameters, const DropoutMask& activation);

}  // namespace megin::net
