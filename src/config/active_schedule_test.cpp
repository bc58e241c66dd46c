#include "config/active_schedule.h"

#include <gtest/gtest.h>

#include <set>

namespace megin::config {
namespace {

// smoe_dropout spec 1.4: 8 to 16 experts over 400,000 updates.
constexpr int64_t kLast = 400'000;
const ExpertConfig kSixteen{.count = 16, .active = 16};

int64_t at(ActiveSchedule schedule, int64_t completed, int64_t first = 8) {
  return active_experts_at({.active_schedule = schedule, .first_active = first}, kSixteen, completed, kLast,
                           7);
}

TEST(ActiveSchedule, LinearHasThePublishedBreakpoints) {
  const auto linear = [](int64_t completed) { return at(ActiveSchedule::kLinear, completed); };
  EXPECT_EQ(linear(0), 8);
  const int64_t breaks[] = {25'001, 75'000, 125'001, 175'000, 225'001, 275'000, 325'001, 375'000};
  int64_t k = 8;
  for (const int64_t begin : breaks) {
    EXPECT_EQ(linear(begin - 1), k) << "a half goes to the even number, " << begin - 1;
    EXPECT_EQ(linear(begin), ++k) << begin;
  }
  EXPECT_EQ(linear(kLast), 16);
  EXPECT_EQ(linear(2 * kLast), 16);
  double sum = 0;
  for (int64_t t = 0; t < kLast; t += 100) sum += static_cast<double>(linear(t));
  EXPECT_NEAR(sum / (kLast / 100.0), 12.0, 0.01);
}

// round((8 - 16) cos(pi t / 2T)) + 16 and round((8 - 16) 0.99^floor(t / 1333)) + 16.
TEST(ActiveSchedule, CosineIsSlowAndExponentialFastAtFirst) {
  EXPECT_EQ(at(ActiveSchedule::kCosine, 0), 8);
  EXPECT_EQ(at(ActiveSchedule::kCosine, kLast / 2), 10);  // 16 - 8 * 0.7071 = 10.34
  EXPECT_EQ(at(ActiveSchedule::kCosine, kLast), 16);
  EXPECT_EQ(at(ActiveSchedule::kExponential, 0), 8);
  EXPECT_EQ(at(ActiveSchedule::kExponential, 1333 * 69), 12);  // 0.99^69 = 0.4998
  EXPECT_EQ(at(ActiveSchedule::kExponential, kLast / 2), 14);  // 0.99^150 = 0.2215: 16 - 1.77
  EXPECT_EQ(at(ActiveSchedule::kExponential, kLast), 16);      // 0.99^300 = 0.049
}

TEST(ActiveSchedule, DoublingStaysEquallyLongAtEach) {
  std::vector<int64_t> found;
  for (int64_t part = 0; part < 5; ++part)
    found.push_back(at(ActiveSchedule::kDoubling, part * kLast / 5, 1));
  EXPECT_EQ(found, (std::vector<int64_t>{1, 2, 4, 8, 16}));
  EXPECT_EQ(at(ActiveSchedule::kDoubling, kLast / 5 - 1, 1), 1);
  EXPECT_EQ(at(ActiveSchedule::kDoubling, kLast, 1), 16);
  EXPECT_EQ(at(ActiveSchedule::kDoubling, 0, 3), 3);
  EXPECT_EQ(at(ActiveSchedule::kDoubling, kLast / 4, 3), 4);
}

TEST(ActiveSchedule, RandomDrawsEachNumberAlike) {
  std::vector<int> counts(17);
  for (int64_t t = 0; t < 9000; ++t) ++counts[static_cast<size_t>(at(ActiveSchedule::kRandom, t))];
  for (int64_t k = 0; k <= 16; ++k) {
    const int count = counts[static_cast<size_t>(k)];
    EXPECT_NEAR(count, k < 8 ? 0 : 1000, k < 8 ? 0 : 150);  // 5 deviations
  }
  EXPECT_EQ(at(ActiveSchedule::kRandom, 5), at(ActiveSchedule::kRandom, 5));
}

TEST(ActiveSchedule, BeginsWithHalfUnlessToldOtherwise) {
  EXPECT_EQ(at(ActiveSchedule::kLinear, 0, 0), 8);
  EXPECT_EQ(
      active_experts_at({.active_schedule = ActiveSchedule::kLinear}, {.count = 5, .active = 5}, 0, 10, 1),
      3);
  EXPECT_EQ(at(ActiveSchedule::kConstant, 0, 0), 16);
}

// Of 8 to 16 experts in each of four layers: all nine numbers, alike often, and layers on their own.
TEST(ActiveSchedule, RandomByLayerDrawsForEachLayer) {
  const RoutingConfig routing{.active_schedule = ActiveSchedule::kRandomByLayer, .first_active = 8};
  constexpr int64_t kLayers = 4, kUpdates = 9000;
  std::vector<std::vector<int>> seen(kLayers, std::vector<int>(17));
  int same = 0;
  for (int64_t t = 0; t < kUpdates; ++t) {
    const auto numbers = active_by_layer_at(routing, kSixteen, t, kLast, 7, kLayers);
    ASSERT_EQ(numbers.size(), static_cast<size_t>(kLayers));
    EXPECT_EQ(numbers, active_by_layer_at(routing, kSixteen, t, 2 * kLast, 7, kLayers)) << "of any length";
    for (size_t layer = 0; layer < numbers.size(); ++layer) {
      ++seen[layer][static_cast<size_t>(numbers[layer])];
    }
    same += numbers[0] == numbers[1];
  }
  for (const auto& of_layer : seen) {
    for (size_t k = 8; k <= 16; ++k) EXPECT_NEAR(of_layer[k], 1000, 150);  // five standard deviations
  }
  EXPECT_NEAR(same, 1000, 150);
  EXPECT_EQ(active_by_layer_at({.active_schedule = ActiveSchedule::kLinear, .first_active = 8}, kSixteen, 0,
                               kLast, 7, kLayers),
            std::vector<int64_t>{8})
      << "other schedules have one number for all";
}

TEST(ActiveSchedule, AnAnchorTakesAShareOfTheUpdates) {
  for (const auto schedule : {ActiveSchedule::kLinear, ActiveSchedule::kRandomByLayer}) {
    const RoutingConfig routing{.active_schedule = schedule, .first_active = 3, .anchor = 0.2};
    RoutingConfig free = routing;
    free.anchor = 0;
    int anchored = 0;
    for (int64_t t = kLast; t < kLast + 10'000; ++t) {
      const auto with = active_by_layer_at(routing, kSixteen, t, kLast, 7, 4);
      const auto without = active_by_layer_at(free, kSixteen, t, kLast, 7, 4);
      if (with == without) continue;
      ++anchored;
      EXPECT_EQ(with, std::vector<int64_t>{3});
      EXPECT_EQ(active_experts_at(routing, kSixteen, t, kLast, 7), 3);
    }
    EXPECT_NEAR(anchored, 2000, 200);  // five standard deviations
  }
}

}  // namespace
}  // namespace megin::config
