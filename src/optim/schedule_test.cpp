#include "optim/schedule.h"

#include <gtest/gtest.h>

namespace megin::optim {
namespace {

using config::OptimizerConfig;
using config::ScheduleKind;

TEST(Schedule, InverseSqrtRisesToThePeakAndHalvesAtFourTimesTheWarmUp) {
  const OptimizerConfig config{
      .learning_rate = 5e-4, .schedule = ScheduleKind::kInverseSqrt, .warmup = 4000, .warmup_start = 1e-7};
  EXPECT_DOUBLE_EQ(learning_rate(config, 0, 0), 1e-7);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 0), 1e-7 + (5e-4 - 1e-7) / 4000);
  EXPECT_DOUBLE_EQ(learning_rate(config, 3999, 0), 1e-7 + 3999 * (5e-4 - 1e-7) / 4000);
  EXPECT_DOUBLE_EQ(learning_rate(config, 4000, 0), 5e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 16000, 0), 2.5e-4);
}

TEST(Schedule, InverseSqrtWithoutWarmUpStartsAtThePeak) {
  const OptimizerConfig config{.learning_rate = 1e-3, .schedule = ScheduleKind::kInverseSqrt, .warmup = 0};
  EXPECT_DOUBLE_EQ(learning_rate(config, 0, 0), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, 0), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 4, 0), 5e-4);
}

TEST(Schedule, CosineIsHalfWayDownInTheMiddle) {
  const OptimizerConfig config{
      .learning_rate = 1e-3, .schedule = ScheduleKind::kCosine, .warmup = 100, .minimum_learning_rate = 1e-4};
  constexpr int64_t kLast = 900;
  EXPECT_DOUBLE_EQ(learning_rate(config, 0, kLast), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1, kLast), 1e-5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 99, kLast), 99e-5);
  EXPECT_DOUBLE_EQ(learning_rate(config, 100, kLast), 1e-3);
  // A quarter of the way: cos(pi / 4) = 0.70710678118654752.
  EXPECT_DOUBLE_EQ(learning_rate(config, 300, kLast), 1e-4 + 4.5e-4 * 1.70710678118654752);
  EXPECT_DOUBLE_EQ(learning_rate(config, 500, kLast), 5.5e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 900, kLast), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 5000, kLast), 1e-4);
}

TEST(Schedule, LinearFallsEvenly) {
  const OptimizerConfig config{
      .learning_rate = 6e-4, .schedule = ScheduleKind::kLinear, .warmup = 100, .minimum_learning_rate = 1e-4};
  EXPECT_DOUBLE_EQ(learning_rate(config, 50, 1100), 3e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 100, 1100), 6e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 300, 1100), 5e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 1100, 1100), 1e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 2000, 1100), 1e-4);
}

TEST(Schedule, ConstantStaysAtThePeak) {
  const OptimizerConfig config{.learning_rate = 1e-3, .schedule = ScheduleKind::kConstant, .warmup = 10};
  EXPECT_DOUBLE_EQ(learning_rate(config, 0, 0), 0.0);
  EXPECT_DOUBLE_EQ(learning_rate(config, 5, 0), 5e-4);
  EXPECT_DOUBLE_EQ(learning_rate(config, 10, 0), 1e-3);
  EXPECT_DOUBLE_EQ(learning_rate(config, 40, 0), 1e-3);
}

}  // namespace
}  // namespace megin::optim
