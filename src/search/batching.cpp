#include "search/batching.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace megin::search {

std::vector<std::vector<size_t>> plan_batches(std::span<const int64_t> lengths, int64_t token_budget) {
  if (token_budget < 1) fail_usage("wanted a budget of at least 1 token a batch, found {}", token_budget);
  std::vector<size_t> order(lengths.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::greater<>(), [&](size_t i) { return lengths[i]; });

  std::vector<std::vector<size_t>> batches;
  for (const size_t index : order) {
    // The first of a batch is its longest. Divided, not multiplied: lengths may be anything.
    const bool fits =
        !batches.empty() && static_cast<int64_t>(batches.back().size()) <
                                token_budget / std::max<int64_t>(1, lengths[batches.back().front()]);
    if (!fits) batches.emplace_back();
    batches.back().push_back(index);
  }
  return batches;
}

}  // namespace megin::search
