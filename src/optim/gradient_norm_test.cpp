#include "optim/gradient_norm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"

namespace megin::optim {
namespace {

TEST(GradientNorm, OfThreeAndFourIsFive) {
  ThreadPool pool(1);
  const std::vector<float> gradient{3, 0, -4};
  const GradientNorm norm = gradient_norm(gradient, pool);
  EXPECT_EQ(norm.norm, 5.0);
  EXPECT_TRUE(norm.finite);
  EXPECT_EQ(gradient_norm({}, pool).norm, 0.0);
}

// 100,003 is no multiple of a block or of the lanes. The length of n elements of 2^-10 is sqrt(n) 2^-10.
TEST(GradientNorm, CountsTheElementsOfEveryTail) {
  ThreadPool pool(2);
  for (const size_t size : {1u, 15u, 16u, 17u, 32767u, 32768u, 32769u, 100003u}) {
    const std::vector<float> gradient(size, 0x1p-10F);
    EXPECT_DOUBLE_EQ(gradient_norm(gradient, pool).norm, std::sqrt(static_cast<double>(size)) * 0x1p-10)
        << size;
  }
}

TEST(GradientNorm, HasTheSameBytesAtAnyThreadCount) {
  std::vector<float> gradient(500001);
  for (size_t i = 0; i < gradient.size(); ++i) {
    gradient[i] = static_cast<float>(draw_normal(draw_key(1, Purpose::kMix), i)) * 0.01F;
  }
  ThreadPool one(1);
  const double expected = gradient_norm(gradient, one).norm;
  for (const int threads : {2, 3, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(gradient_norm(gradient, pool).norm, expected) << threads;
  }
}

TEST(GradientNorm, FindsASingleNumberThatIsNotFinite) {
  ThreadPool pool(2);
  for (const float bad : {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    std::vector<float> gradient(100003, 1.0F);
    gradient[99999] = bad;
    EXPECT_FALSE(gradient_norm(gradient, pool).finite);
  }
  // Squares of the largest floats do not overflow: this gradient is long, but finite.
  EXPECT_TRUE(gradient_norm(std::vector<float>(1000, std::numeric_limits<float>::max()), pool).finite);
}

TEST(GradientNorm, ClippingShortensLongGradientsOnly) {
  EXPECT_DOUBLE_EQ(clip_factor(5.0, 1.0), 1.0 / 5.000001);
  EXPECT_DOUBLE_EQ(clip_factor(0.5, 1.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_factor(5.0, 0.0), 1.0);
  EXPECT_DOUBLE_EQ(clip_factor(0.0, 1.0), 1.0);
}

}  // namespace
}  // namespace megin::optim
