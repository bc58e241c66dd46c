#include "search/batching.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "base/error.h"
#include "base/random.h"

namespace megin::search {
namespace {

using Batches = std::vector<std::vector<size_t>>;

TEST(Batching, PutsLikeLengthsTogetherLongestFirst) {
  const std::vector<int64_t> lengths = {3, 9, 4, 3, 20};
  // 20 alone is over the budget; 9 * 2 would be; 4 * 3 is the budget.
  EXPECT_EQ(plan_batches(lengths, 12), (Batches{{4}, {1}, {2, 0, 3}}));
}

TEST(Batching, EmptySentencesCountAsOneToken) {
  EXPECT_EQ(plan_batches(std::vector<int64_t>{0, 0, 0}, 2), (Batches{{0, 1}, {2}}));
  EXPECT_TRUE(plan_batches({}, 2).empty());
}

TEST(Batching, HugeLengthsDoNotOverflow) {
  const std::vector<int64_t> lengths(3, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(plan_batches(lengths, std::numeric_limits<int64_t>::max()).size(), 3U);
}

TEST(Batching, EverySentenceStandsInOneBatchWithinTheBudget) {
  std::vector<int64_t> lengths;
  for (uint64_t i = 0; i < 1000; ++i) lengths.push_back(1 + static_cast<int64_t>(draw_index(1, i, 80)));
  std::vector<int> seen(lengths.size(), 0);
  for (const auto& batch : plan_batches(lengths, 256)) {
    int64_t longest = 0;
    for (const size_t index : batch) {
      ++seen[index];
      longest = std::max(longest, lengths[index]);
    }
    EXPECT_LE(longest * static_cast<int64_t>(batch.size()), 256);
  }
  EXPECT_TRUE(std::ranges::all_of(seen, [](int count) { return count == 1; }));
}

TEST(Batching, ABudgetOfNothingIsAUsageError) {
  EXPECT_THROW(plan_batches(std::vector<int64_t>{1}, 0), UsageError);
}

}  // namespace
}  // namespace megin::search
