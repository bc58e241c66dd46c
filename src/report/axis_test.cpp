#include "report/axis.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace megin::report {
namespace {

std::vector<std::string> labels(const Axis& axis) {
  std::vector<std::string> labels;
  for (const Tick& tick : axis.ticks()) labels.push_back(tick.label);
  return labels;
}

using Labels = std::vector<std::string>;

TEST(Axis, LinearTicksStandAtRoundNumbers) {
  EXPECT_EQ(labels(Axis(0, 10000, Scale::kLinear, 5, false)),
            (Labels{"0", "2,000", "4,000", "6,000", "8,000", "10,000"}));
  EXPECT_EQ(labels(Axis(1.02, 1.49, Scale::kLinear, 5, false)), (Labels{"1.1", "1.2", "1.3", "1.4"}));
  EXPECT_EQ(labels(Axis(-1, 1, Scale::kLinear, 4, false)), (Labels{"-1.0", "-0.5", "0", "0.5", "1.0"}));
}

TEST(Axis, ARoundedRangeEndsAtTicks) {
  const Axis axis(12.3, 38.9, Scale::kLinear, 5, true);
  EXPECT_EQ(axis.low(), 10);
  EXPECT_EQ(axis.high(), 40);
  EXPECT_EQ(labels(axis), (Labels{"10", "20", "30", "40"}));
  EXPECT_DOUBLE_EQ(axis.position(10), 0);
  EXPECT_DOUBLE_EQ(axis.position(25), 0.5);
}

TEST(Axis, LogTicksArePowersOfTenOrHaveTwoAndFiveBetween) {
  EXPECT_EQ(labels(Axis(1, 100000, Scale::kLog, 5, false)),
            (Labels{"1", "10", "100", "1,000", "10,000", "100,000"}));
  const Axis fine(1.5, 60, Scale::kLog, 5, true);
  EXPECT_EQ(labels(fine), (Labels{"1", "2", "5", "10", "20", "50", "100"}));
  EXPECT_DOUBLE_EQ(fine.position(10), 0.5);
  EXPECT_EQ(labels(Axis(0.01, 1, Scale::kLog, 3, false)), (Labels{"0.01", "0.1", "1"}));
}

TEST(Axis, ARangeOfOneValueIsWidened) {
  EXPECT_DOUBLE_EQ(Axis(3, 3, Scale::kLinear, 5, false).position(3), 0.5);
  EXPECT_DOUBLE_EQ(Axis(0, 0, Scale::kLinear, 5, false).position(0), 0.5);
  EXPECT_DOUBLE_EQ(Axis(3, 3, Scale::kLog, 5, false).position(3), 0.5);
}

}  // namespace
}  // namespace megin::report
