#include "metric/accuracy.h"

#include <gtest/gtest.h>

namespace megin::metric {
namespace {

// The ends of the interval are the roots of (p - share)^2 = z^2 p (1 - p) / n, found by bisection in Python:
//   f = lambda p: (k / n - p) ** 2 - 1.959963984540054 ** 2 * p * (1 - p) / n
void expect_interval(const Accuracy& accuracy, double low, double high) {
  EXPECT_NEAR(accuracy.wilson().low, low, 1e-11);
  EXPECT_NEAR(accuracy.wilson().high, high, 1e-11);
}

TEST(Accuracy, IsAShareWithItsInterval) {
  Accuracy accuracy{.right = 3, .all = 4};
  accuracy += {.right = 5, .all = 6};
  EXPECT_DOUBLE_EQ(accuracy.share(), 0.8);
  expect_interval(accuracy, 0.490162471537, 0.943317848546);
  expect_interval({.right = 708, .all = 864}, 0.792400061273, 0.843660816425);
}

// Neither nothing right nor everything right is certain, and shares stay shares.
TEST(Accuracy, AtTheEnds) {
  expect_interval({.right = 0, .all = 10}, 0.0, 0.277532799863);
  expect_interval({.right = 10, .all = 10}, 0.722467200137, 1.0);
}

TEST(Accuracy, OfNothingIsNotANumber) {
  EXPECT_TRUE(std::isnan(Accuracy{}.share()));
  EXPECT_TRUE(std::isnan(Accuracy{}.wilson().low));
}

}  // namespace
}  // namespace megin::metric
