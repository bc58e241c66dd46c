#include "metric/perplexity.h"

#include <gtest/gtest.h>

namespace megin::metric {
namespace {

// Four tokens of probability 1/8: 3 bits each, a perplexity of 8; over 6 characters 2 bits each.
TEST(LogLoss, OfAUniformModel) {
  LogLoss loss{2 * std::log(8.0), 2};
  loss += LogLoss{2 * std::log(8.0), 2};
  EXPECT_NEAR(loss.per_token(), std::log(8.0), 1e-15);
  EXPECT_NEAR(loss.perplexity(), 8, 1e-12);
  EXPECT_NEAR(loss.bits_per_token(), 3, 1e-15);
  EXPECT_NEAR(loss.bits_per(6), 2, 1e-15);
}

TEST(LogLoss, OfNothingIsNotANumber) {
  EXPECT_TRUE(std::isnan(LogLoss{}.per_token()));
  EXPECT_TRUE(std::isnan(LogLoss{}.perplexity()));
}

}  // namespace
}  // namespace megin::metric
