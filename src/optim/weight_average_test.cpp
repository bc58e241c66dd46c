#include "optim/weight_average.h"

#include <gtest/gtest.h>

namespace megin::optim {
namespace {

TEST(WeightAverage, TheDecayRisesToItsValue) {
  EXPECT_DOUBLE_EQ(average_decay(0.999, 0), 0.1);
  EXPECT_DOUBLE_EQ(average_decay(0.999, 10), 11.0 / 20.0);
  EXPECT_DOUBLE_EQ(average_decay(0.999, 100000), 0.999);
}

}  // namespace
}  // namespace megin::optim
