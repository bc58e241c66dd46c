#include "cli/layer_numbers.h"

#include <gtest/gtest.h>

namespace megin::cli {
namespace {

constexpr int64_t kNumbers[] = {1, 2, 4};

// Two layers of costs k1 + k2. The loss of the first is 0, 1, 5 for 4, 2, 1 experts, of the second 0, 3, 4.
// The steps down cost, for each unit saved: (4,4) to (2,4) 1/2, to (4,2) 3/2; then from (2,4) to (1,4) 4/1,
// to (2,2) 3/2; then from (2,2) to (1,2) 4/1, to (2,1) 1/1; then to (1,1).
double loss(const std::vector<int64_t>& active) {
  const double first = active[0] == 4 ? 0 : active[0] == 2 ? 1 : 5;
  const double second = active[1] == 4 ? 0 : active[1] == 2 ? 3 : 4;
  return first + second;
}

std::vector<LayerNumbers> search(double most) {
  return lower_layer_by_layer(
      {.layers = 2,
       .numbers = kNumbers,
       .loss = &loss,
       .cost = [](const std::vector<int64_t>& active) { return static_cast<double>(active[0] + active[1]); },
       .fits = [most](const LayerNumbers& step) { return step.cost <= most; }});
}

TEST(LayerNumbers, AreLoweredWhereAUnitSavedCostsTheLeast) {
  using Numbers = std::vector<int64_t>;
  const auto steps = search(0);
  ASSERT_EQ(steps.size(), 5u);
  EXPECT_EQ(steps[0].active, (Numbers{4, 4}));
  EXPECT_EQ(steps[1].active, (Numbers{2, 4}));
  EXPECT_EQ(steps[2].active, (Numbers{2, 2}));
  EXPECT_EQ(steps[3].active, (Numbers{2, 1}));
  EXPECT_EQ(steps[4].active, (Numbers{1, 1})) << "nothing fits, so it ends where nothing is lower";
  EXPECT_EQ(steps[3].loss, 5);
  EXPECT_EQ(steps[3].cost, 3);
}

TEST(LayerNumbers, StopAtTheFirstThatFits) {
  EXPECT_EQ(search(8).size(), 1u);
  EXPECT_EQ(search(5.5).back().active, (std::vector<int64_t>{2, 2}));
}

TEST(LayerNumbers, OfEqualPricesTakeTheFirstLayer) {
  const auto steps = lower_layer_by_layer(
      {.layers = 2,
       .numbers = kNumbers,
       .loss = [](const auto&) { return 1.0; },
       .cost = [](const std::vector<int64_t>& active) { return static_cast<double>(active[0] + active[1]); },
       .fits = [](const LayerNumbers& step) { return step.cost < 8; }});
  EXPECT_EQ(steps.back().active, (std::vector<int64_t>{2, 4}));
}

}  // namespace
}  // namespace megin::cli
