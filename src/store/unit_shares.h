// Ways to share out the hidden units of a feed-forward to experts of equal width.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::store {

// Hidden units of each expert, in their order.
using Shares = std::vector<std::vector<int64_t>>;

// The first of `units` to the first expert, and so on; experts divides their number.
Shares shares_in_order(const std::vector<int64_t>& units, int64_t experts);

// Balanced k-means by cosine over the rows of weight, [units, width]; it begins with a draw of `key`.
Shares shares_by_direction(std::span<const float> weight, int64_t units, int64_t experts, uint64_t key);

}  // namespace megin::store
