#include "report/spread.h"

#include <gtest/gtest.h>

#include <vector>

namespace megin::report {
namespace {

// Mean 39 / 3, squares 9 + 1 + 16 over 2.
TEST(Spread, DividesByOneLessThanTheNumbers) {
  const Spread spread = spread_of(std::vector<double>{10, 12, 17});
  EXPECT_EQ(spread.count, 3u);
  EXPECT_DOUBLE_EQ(spread.mean, 13);
  EXPECT_DOUBLE_EQ(spread.variance, 13);
  EXPECT_NEAR(spread.deviation(), 3.605551275463989, 1e-12);
}

TEST(Spread, OfOneNumberAndOfNone) {
  EXPECT_EQ(spread_of(std::vector<double>{7}).mean, 7);
  EXPECT_EQ(spread_of(std::vector<double>{7}).deviation(), 0);
  EXPECT_EQ(spread_of({}).count, 0u);
  EXPECT_EQ(spread_of({}).mean, 0);
}

}  // namespace
}  // namespace megin::report
