#include "matrix/packed_product.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/highway_test_targets.h"

namespace megin::matrix {
namespace {

struct Operands {
  Operands(int64_t m, int64_t n, int64_t k) : x(m * k), weight(n * k), bias(n) {
    std::mt19937 generator(static_cast<uint32_t>(m * 7919 + n * 31 + k));
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    for (auto* values : {&x, &weight, &bias}) {
      for (float& v : *values) v = uniform(generator);
    }
  }
  std::vector<float> x, weight, bias;
};

TEST(PackedProduct, GivesTheNumbersWorkedOutByHand) {
  on_each_target([] {
    // [1 2 3; 4 5 6] times the columns (1 0 -1) and (2 1 0), plus (10, 20).
    const PackedMatrix weight(std::vector<float>{1, 0, -1, 2, 1, 0}, 2, 3);
    const std::vector<float> x = {1, 2, 3, 4, 5, 6}, bias = {10, 20};
    std::vector<float> y(4);
    multiply(weight, bias, {x.data(), 2, 3}, {y.data(), 2, 2});
    EXPECT_EQ(y, (std::vector<float>{8, 24, 8, 33}));
    multiply(weight, {}, {x.data(), 2, 3}, {y.data(), 2, 2});
    EXPECT_EQ(y, (std::vector<float>{-2, 4, -2, 13}));
  });
}

// Higham 2002, section 3.1: a sum of k products and a start value in any order errs by at most
// (k + 1) u / (1 - (k + 1) u) times the sum of magnitudes; u = 2^-24.
TEST(PackedProduct, StaysWithinTheErrorBoundOfADotProduct) {
  const std::vector<std::array<int64_t, 3>> shapes = {{1, 1, 1},      {1, 64, 128}, {2, 33, 7},
                                                      {3, 70, 300},   {7, 16, 513}, {13, 5, 64},
                                                      {200, 40, 600}, {6, 130, 1}};
  on_each_target([&] {
    for (const auto& [m, n, k] : shapes) {
      const Operands in(m, n, k);
      std::vector<float> y(m * n);
      multiply(PackedMatrix(in.weight, n, k), in.bias, {in.x.data(), m, k}, {y.data(), m, n});
      const double gamma = (k + 1) * 0x1p-24 / (1 - (k + 1) * 0x1p-24);
      for (int64_t r = 0; r < m; ++r) {
        for (int64_t o = 0; o < n; ++o) {
          double sum = in.bias[o], magnitude = std::abs(in.bias[o]);
          for (int64_t i = 0; i < k; ++i) {
            const double product = static_cast<double>(in.x[r * k + i]) * in.weight[o * k + i];
            sum += product;
            magnitude += std::abs(product);
          }
          ASSERT_LE(std::abs(y[r * n + o] - sum), gamma * magnitude) << m << " " << n << " " << k;
        }
      }
    }
  });
}

TEST(PackedProduct, ARowsBitsDoNotDependOnTheOtherRows) {
  constexpr int64_t kOutputs = 83, kInputs = 700, kMost = 401;
  const Operands in(kMost, kOutputs, kInputs);
  on_each_target([&] {
    const PackedMatrix weight(in.weight, kOutputs, kInputs);
    std::vector<float> alone(kMost * kOutputs);
    for (int64_t r = 0; r < kMost; ++r) {
      multiply(weight, in.bias, {in.x.data() + r * kInputs, 1, kInputs},
               {alone.data() + r * kOutputs, 1, kOutputs});
    }
    for (const int64_t m : {2, 3, 4, 5, 6, 7, 8, 11, 64, 193, 401}) {
      std::vector<float> together(m * kOutputs);
      multiply(weight, in.bias, {in.x.data(), m, kInputs}, {together.data(), m, kOutputs});
      EXPECT_EQ(std::memcmp(together.data(), alone.data(), together.size() * sizeof(float)), 0) << m;
    }
  });
}

TEST(PackedProduct, LeavesWhatLiesBetweenTheRowsAlone) {
  const Operands in(3, 5, 4);
  std::vector<float> y(3 * 8, -7.0F);
  multiply(PackedMatrix(in.weight, 5, 4), in.bias, {in.x.data(), 3, 4}, {y.data(), 3, 8});
  for (int64_t r = 0; r < 3; ++r) {
    for (int64_t o = 5; o < 8; ++o) EXPECT_EQ(y[r * 8 + o], -7.0F);
  }
}

}  // namespace
}  // namespace megin::matrix
