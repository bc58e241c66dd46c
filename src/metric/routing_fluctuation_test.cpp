#include "metric/routing_fluctuation.h"

#include <gtest/gtest.h>

namespace megin::metric {
namespace {

// Snapshots at 10, 20, 30, 40, 50 % and so on of 100 updates; five tokens: never changes; changes once after
// the first; goes away and comes back at the fourth; changes before the end; differs early only.
TEST(RoutingFluctuation, IsTheLastSnapshotThatDiffersFromTheEnd) {
  const std::vector<std::vector<uint16_t>> routes = {
      {1, 0, 2, 3, 7}, {1, 1, 2, 3, 5}, {1, 1, 2, 3, 5}, {1, 1, 0, 3, 5}, {1, 1, 2, 4, 5}};
  const std::vector<int64_t> updates = {20, 40, 60, 80, 100};
  const auto last = last_fluctuations(routes);
  EXPECT_EQ(last, (std::vector<int64_t>{-1, 0, 3, 3, 0}));
  EXPECT_DOUBLE_EQ(share_fluctuating_beyond(last, updates, 0), 0.8);
  EXPECT_DOUBLE_EQ(share_fluctuating_beyond(last, updates, 0.2), 0.4) << "beyond, not at";
  EXPECT_DOUBLE_EQ(share_fluctuating_beyond(last, updates, 0.5), 0.4);
  EXPECT_DOUBLE_EQ(share_fluctuating_beyond(last, updates, 0.8), 0);
}

TEST(RoutingFluctuation, IsNothingForOneSnapshotOrNoTokens) {
  const std::vector<std::vector<uint16_t>> one = {{3, 4}};
  EXPECT_EQ(last_fluctuations(one), (std::vector<int64_t>{-1, -1}));
  EXPECT_TRUE(last_fluctuations({}).empty());
  EXPECT_EQ(share_fluctuating_beyond({}, {}, 0.5), 0);
}

}  // namespace
}  // namespace megin::metric
