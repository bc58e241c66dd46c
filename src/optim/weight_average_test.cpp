#include "optim/weight_average.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace megin::optim {
namespace {

TEST(WeightAverage, TheDecayRisesToItsValue) {
  EXPECT_DOUBLE_EQ(average_decay(0.999, 0), 0.1);
  EXPECT_DOUBLE_EQ(average_decay(0.999, 10), 11.0 / 20.0);
  EXPECT_DOUBLE_EQ(average_decay(0.999, 100000), 0.999);
}

TEST(WeightAverage, TheMeanOfThreeCheckpoints) {
  WeightMean mean(2);
  mean.add(std::vector<float>{1.0F, 0.25F});
  mean.add(std::vector<float>{2.0F, 0.25F});
  mean.add(std::vector<float>{6.0F, -2.0F});
  std::vector<float> result(2);
  mean.write(result);
  EXPECT_EQ(mean.count(), 3);
  EXPECT_EQ(result, (std::vector<float>{3.0F, -0.5F}));
}

TEST(WeightAverage, RefusesWhatHasNoMean) {
  WeightMean mean(2);
  std::vector<float> result(2);
  EXPECT_THROW(mean.write(result), UsageError);
  EXPECT_THROW(mean.add(std::vector<float>(3)), UsageError);
}

}  // namespace
}  // namespace megin::optim
