#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>

namespace megin {
namespace {

// The first outputs of SplitMix64 seeded with 0, as its authors' reference program prints them:
// e220a8397b1dcdaf 6e789e6aa1b965f4 06c45d188009454f. Output n is mix64 of n times the increment.
TEST(Random, Mix64IsSplitMix64) {
  EXPECT_EQ(mix64(0), 0xE220A8397B1DCDAFULL);
  EXPECT_EQ(mix64(0x9E3779B97F4A7C15ULL), 0x6E789E6AA1B965F4ULL);
  EXPECT_EQ(mix64(2 * 0x9E3779B97F4A7C15ULL), 0x06C45D188009454FULL);
}

TEST(Random, KeysDependOnEveryPartAndTheirOrder) {
  const uint64_t key = draw_key(1, Purpose::kDropout, {2, 3});
  EXPECT_NE(key, draw_key(2, Purpose::kDropout, {2, 3}));
  EXPECT_NE(key, draw_key(1, Purpose::kSampling, {2, 3}));
  EXPECT_NE(key, draw_key(1, Purpose::kDropout, {3, 2}));
  EXPECT_EQ(key, draw_key(1, Purpose::kDropout, {2, 3}));
}

// Chi-square with 6 degrees of freedom: 22.46 is exceeded once in a thousand seeds.
TEST(Random, IndicesAreUniform) {
  std::array<int, 7> counts{};
  constexpr int kDraws = 70000;
  for (int i = 0; i < kDraws; ++i) ++counts[draw_index(draw_key(5, Purpose::kExpertDraw), i, 7)];
  double chi_square = 0;
  for (const int count : counts) chi_square += (count - 10000.0) * (count - 10000.0) / 10000.0;
  EXPECT_LT(chi_square, 22.46);
}

TEST(Random, NormalHasMeanZeroAndVarianceOne) {
  constexpr int kDraws = 100000;
  double sum = 0, squares = 0;
  for (int i = 0; i < kDraws; ++i) {
    const double x = draw_normal(draw_key(9, Purpose::kInitialisation), i);
    sum += x;
    squares += x * x;
  }
  EXPECT_NEAR(sum / kDraws, 0.0, 4 / std::sqrt(kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0, 4 * std::sqrt(2.0 / kDraws));
}

}  // namespace
}  // namespace megin
