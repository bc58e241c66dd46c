#include "net/positions.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace megin::net {
namespace {

// Width 4: half 2, frequencies 10000^0 = 1 and 10000^-1; the first token has position 2.
TEST(Positions, SinusoidsAreFairseqs) {
  const at::Tensor table = sinusoidal_positions(3, 4);
  for (int t = 0; t < 3; ++t) {
    EXPECT_NEAR(table[t][0].item<float>(), std::sin(t + 2.0), 1e-6);
    EXPECT_NEAR(table[t][1].item<float>(), std::sin((t + 2.0) * 1e-4), 1e-9);
    EXPECT_NEAR(table[t][2].item<float>(), std::cos(t + 2.0), 1e-6);
    EXPECT_NEAR(table[t][3].item<float>(), std::cos((t + 2.0) * 1e-4), 1e-6);
  }
}

TEST(Positions, RotationTurnsEachPairByItsAngle) {
  // Two positions, head width 4: pairs (0, 2) and (1, 3) turn by 1 and by 10000^-1/2 = 0.01 at position 1.
  const at::Tensor x = at::tensor({1.f, 2.f, 3.f, 4.f, 1.f, 2.f, 3.f, 4.f}).view({2, 4});
  const at::Tensor y = rotate(x);
  EXPECT_TRUE(at::equal(y[0], x[0]));
  EXPECT_NEAR(y[1][0].item<float>(), 1 * std::cos(1.0) - 3 * std::sin(1.0), 1e-6);
  EXPECT_NEAR(y[1][2].item<float>(), 3 * std::cos(1.0) + 1 * std::sin(1.0), 1e-6);
  EXPECT_NEAR(y[1][1].item<float>(), 2 * std::cos(0.01) - 4 * std::sin(0.01), 1e-6);
  EXPECT_NEAR(y[1][3].item<float>(), 4 * std::cos(0.01) + 2 * std::sin(0.01), 1e-6);
}

}  // namespace
}  // namespace megin::net
