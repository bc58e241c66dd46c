#include "report/mean_curve.h"

#include <gtest/gtest.h>

namespace megin::report {
namespace {

TEST(MeanCurve, HasAPointWhereEveryRunHasOne) {
  const auto mean = mean_curve({{{10, {1.0, 6}}, {20, {2.0, 3}}, {30, {3.0, 1}}},
                                {{10, {1.5, 9}}, {30, {4.5, 2}}},
                                {{10, {2.0, 0}}, {20, {4.0, 3}}, {30, {6.0, 6}}, {40, {8.0, 1}}}});
  ASSERT_EQ(mean.size(), 2u);
  EXPECT_DOUBLE_EQ(mean[0].x, 1.5);  // the cost of update 10
  EXPECT_DOUBLE_EQ(mean[0].y, 5);
  EXPECT_DOUBLE_EQ(mean[1].x, 4.5);
  EXPECT_DOUBLE_EQ(mean[1].y, 3);
}

TEST(MeanCurve, OfOneRunIsItsCurve) {
  const auto mean = mean_curve({{{10, {1, 6}}, {20, {2, 3}}}});
  ASSERT_EQ(mean.size(), 2u);
  EXPECT_EQ(mean[1].y, 3);
  EXPECT_TRUE(mean_curve({}).empty());
}

TEST(MeanCurve, OfARunWithoutPointsIsEmpty) {
  EXPECT_TRUE(mean_curve({{{10, {1, 6}}}, {}}).empty());
}

}  // namespace
}  // namespace megin::report
