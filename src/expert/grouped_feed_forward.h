// The feed-forwards of many experts, each on its own rows, as one operation: a task is an expert's part of
// the rows, so that many small experts keep all threads as busy as one large feed-forward does.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "expert/grouping.h"
#include "net/forward_context.h"

namespace megin::expert {

// Of expert e: fc1_weight[e] [f, d], fc1_bias[e] [f], fc2_weight[e] [d, f], fc2_bias[e] [d]; empty biases are
// none.
struct GroupedParameters {
  std::vector<at::Tensor> fc1_weight, fc1_bias, fc2_weight, fc2_bias;
};

// x: [places, d], in the order of the grouping. Returns [places, d]: fc2(dropout(relu(fc1 x))) by the expert
// of each place. activation: a mask over [places, f] with one pass. Differentiable in x and in the parameters
// of the experts that have rows; those of others get no gradient. The same bytes at any thread count.
at::Tensor grouped_feed_forward(const at::Tensor& x, const std::shared_ptr<const Grouping>& grouping,
                                const GroupedParameters& parameters, const net::DropoutMask& activation);

}  // namespace megin::expert
