#include "metric/mcnemar.h"

#include <gtest/gtest.h>

namespace megin::metric {
namespace {

// One coin in six or none: 2 (1 + 6) / 64, 2 / 64.
TEST(McNemar, IsTwoTailsOfABinomial) {
  EXPECT_NEAR(exact_mcnemar(1, 5), 0.21875, 1e-15);
  EXPECT_NEAR(exact_mcnemar(5, 1), 0.21875, 1e-15);
  EXPECT_NEAR(exact_mcnemar(0, 6), 0.03125, 1e-15);
}

TEST(McNemar, OfNoDifferenceIsOne) {
  EXPECT_EQ(exact_mcnemar(0, 0), 1.0);
  EXPECT_EQ(exact_mcnemar(7, 7), 1.0);
  EXPECT_EQ(exact_mcnemar(3, 4), 1.0);  // all of the coin's results
}

// Python: 2 * sum(math.comb(2100, k) for k in range(1001)) / 2 ** 2100, in integers.
TEST(McNemar, HoldsForManyQuestions) {
  EXPECT_NEAR(exact_mcnemar(1000, 1100), 0.030720707864242296, 1e-10);
  EXPECT_GE(exact_mcnemar(0, 5000), 0.0);
  EXPECT_LT(exact_mcnemar(0, 5000), 1e-300);
}

}  // namespace
}  // namespace megin::metric
