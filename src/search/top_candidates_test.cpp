#include "search/top_candidates.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace megin::search {
namespace {

std::vector<int32_t> tokens(std::span<const Candidate> candidates) {
  std::vector<int32_t> result;
  for (const Candidate& candidate : candidates) result.push_back(candidate.token);
  return result;
}

TEST(TopCandidates, AreTheLargestFirstAndEqualOnesByToken) {
  const std::vector<float> row = {-3, -1, -2, -1, -5};
  TopCandidates top;
  EXPECT_EQ(tokens(top.find(row, 3)), (std::vector<int32_t>{1, 3, 2}));
  EXPECT_EQ(top.find(row, 1).front().log_prob, -1);
  EXPECT_EQ(top.find(row, 9).size(), 5U);
  EXPECT_TRUE(top.find(row, 0).empty());
  EXPECT_TRUE(top.find({}, 4).empty());
}

TEST(TopCandidates, LeaveOutTheImpossibleAndNaN) {
  const std::vector<float> row = {-INFINITY, -2, NAN, -1, -INFINITY};
  TopCandidates top;
  EXPECT_EQ(tokens(top.find(row, 4)), (std::vector<int32_t>{3, 1}));
  EXPECT_TRUE(top.find(std::vector<float>(200, NAN), 3).empty());
}

// The slow twin: sort everything. Coarse values make ties; sizes go across the blocks.
TEST(TopCandidates, EqualAFullSort) {
  TopCandidates top;
  for (uint64_t trial = 0; trial < 2000; ++trial) {
    std::vector<float> row(draw_index(trial, 0, 1500));
    const double steps = trial % 2 == 0 ? 20 : 1e6;
    for (size_t i = 0; i < row.size(); ++i) {
      row[i] = static_cast<float>(-std::floor(steps * draw_uniform(trial, i + 10)) / steps);
      if (draw_index(mix64(trial), i, 50) == 0) row[i] = -INFINITY;
      if (draw_index(mix64(trial + 1), i, 200) == 0) row[i] = NAN;
    }
    std::vector<int32_t> wanted;
    for (size_t i = 0; i < row.size(); ++i) {
      if (row[i] > -INFINITY) wanted.push_back(static_cast<int32_t>(i));
    }
    std::ranges::stable_sort(wanted, [&](int32_t a, int32_t b) {
      return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)];
    });
    const size_t k = 1 + draw_index(trial, 1, 30);
    wanted.resize(std::min(wanted.size(), k));
    ASSERT_EQ(tokens(top.find(row, k)), wanted) << "trial " << trial;
  }
}

}  // namespace
}  // namespace megin::search
