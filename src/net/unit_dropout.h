// Dropout of a feed-forward's hidden units that SMoE-Dropout is compared with (Chen et al. 2023; smoe_dropout
// spec 1.6): of whole groups, and at a rate that is learned. As in dropout.h every draw is a hash.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "net/forward_context.h"

namespace megin::net {

// Leaves out, in each pass of the batch, every group of columns with mask.probability: column j is of group
// j mod groups. What is kept is not rescaled. x: [rows, f], fp32. Differentiable.
at::Tensor drop_groups(const at::Tensor& x, int64_t groups, const DropoutMask& mask);

// y = x z / (1 - p), z = 1 - sigmoid((logit p + logit u) / 0.1) with u ~ U(0, 1) for each element: the
// Concrete relaxation of dropout (Gal et al. 2017, arXiv 1705.07832, section 4). rate_logit: [1], log p -
// log(1 - p), fp32. Differentiable in both; of the mask only keys and passes count. In use there is no noise:
// the mean of z / (1 - p) is nearly 1.
at::Tensor concrete_dropout(const at::Tensor& x, const at::Tensor& rate_logit, const DropoutMask& mask);

// What a feed-forward of concrete dropout adds to the loss of a token (its eq. 3 and 4, in the form of its
// code): weight |W|^2 / (1 - p) - entropy f H(p), H(p) = -p log p - (1 - p) log(1 - p), f the columns of
// fc2_weight, whose inputs are dropped. A scalar; differentiable.
struct ConcreteWeights {
  double weight = 0, entropy = 0;
};
at::Tensor concrete_regulariser(const at::Tensor& fc2_weight, const at::Tensor& rate_logit,
                                const ConcreteWeights& weights);

}  // namespace megin::net
