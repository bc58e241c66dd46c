#include "matrix/gradient_product.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <random>
#include <vector>

#include "base/highway_test_targets.h"

namespace megin::matrix {
namespace {

struct Operands {
  Operands(int64_t rows, int64_t outputs, int64_t inputs)
      : dy(rows * outputs), x(rows * inputs), dw(outputs * inputs) {
    std::mt19937 generator(static_cast<uint32_t>(rows * 7919 + outputs * 31 + inputs));
    std::uniform_real_distribution<float> uniform(-1.0F, 1.0F);
    for (auto* values : {&dy, &x, &dw}) {
      for (float& v : *values) v = uniform(generator);
    }
  }
  std::vector<float> dy, x, dw;
};

TEST(GradientProduct, GivesTheNumbersWorkedOutByHand) {
  on_each_target([] {
    // Two rows: (1, 2)^T (1 0 -1) + (3, 4)^T (2 1 0).
    const std::vector<float> dy = {1, 2, 3, 4}, x = {1, 0, -1, 2, 1, 0};
    std::vector<float> dw(6, 100);
    multiply_gradient({{dy.data(), 2, 2}, {x.data(), 2, 3}, 3}, {dw.data(), 2, 3}, Sum::kFromZero);
    EXPECT_EQ(dw, (std::vector<float>{7, 3, -1, 10, 4, -2}));
    multiply_gradient({{dy.data(), 2, 2}, {x.data(), 2, 3}, 3}, {dw.data(), 2, 3}, Sum::kAdd);
    EXPECT_EQ(dw, (std::vector<float>{14, 6, -2, 20, 8, -4}));
    multiply_gradient({{dy.data(), 0, 2}, {x.data(), 0, 3}, 3}, {dw.data(), 2, 3}, Sum::kAdd);
    EXPECT_EQ(dw[0], 14);
    multiply_gradient({{dy.data(), 0, 2}, {x.data(), 0, 3}, 3}, {dw.data(), 2, 3}, Sum::kFromZero);
    EXPECT_EQ(dw, std::vector<float>(6, 0.0F));
  });
}

// The bound of packed_product_test.cpp, with the start value as one more term.
TEST(GradientProduct, StaysWithinTheErrorBoundOfASum) {
  const std::vector<std::array<int64_t, 3>> shapes = {{1, 1, 1},     {5, 7, 3},    {256, 96, 32},
                                                      {257, 97, 33}, {64, 200, 1}, {700, 13, 130},
                                                      {3, 6, 64},    {300, 6, 16}};
  on_each_target([&] {
    for (const auto& [rows, outputs, inputs] : shapes) {
      const Operands in(rows, outputs, inputs);
      for (const Sum sum : {Sum::kFromZero, Sum::kAdd}) {
        std::vector<float> dw = in.dw;
        multiply_gradient({{in.dy.data(), rows, outputs}, {in.x.data(), rows, inputs}, inputs},
                          {dw.data(), outputs, inputs}, sum);
        const double u = static_cast<double>(rows + 1) * 0x1p-24, gamma = u / (1 - u);
        for (int64_t o = 0; o < outputs; ++o) {
          for (int64_t i = 0; i < inputs; ++i) {
            const double start = sum == Sum::kAdd ? in.dw[o * inputs + i] : 0;
            double exact = start, magnitude = std::abs(start);
            for (int64_t r = 0; r < rows; ++r) {
              const double product = static_cast<double>(in.dy[r * outputs + o]) * in.x[r * inputs + i];
              exact += product;
              magnitude += std::abs(product);
            }
            ASSERT_LE(std::abs(dw[o * inputs + i] - exact), gamma * magnitude)
                << rows << " " << outputs << " " << inputs;
          }
        }
      }
    }
  });
}

TEST(GradientProduct, APartHasTheBitsOfTheWhole) {
  constexpr int64_t kRows = 520, kOutputs = 205, kInputs = 50;
  const Operands in(kRows, kOutputs, kInputs);
  on_each_target([&] {
    std::vector<float> whole(kOutputs * kInputs), parts(kOutputs * kInputs);
    multiply_gradient({{in.dy.data(), kRows, kOutputs}, {in.x.data(), kRows, kInputs}, kInputs},
                      {whole.data(), kOutputs, kInputs}, Sum::kFromZero);
    for (const auto& [first, last] : {std::pair<int64_t, int64_t>{0, 1}, {1, 100}, {100, 205}}) {
      multiply_gradient({{in.dy.data() + first, kRows, kOutputs}, {in.x.data(), kRows, kInputs}, kInputs},
                        {parts.data() + first * kInputs, last - first, kInputs}, Sum::kFromZero);
    }
    EXPECT_EQ(whole, parts);
  });
}

TEST(GradientProduct, LeavesWhatLiesBetweenTheRowsAlone) {
  const Operands in(9, 3, 5);
  std::vector<float> dw(3 * 8, -7.0F);
  multiply_gradient({{in.dy.data(), 9, 3}, {in.x.data(), 9, 5}, 5}, {dw.data(), 3, 8}, Sum::kFromZero);
  for (int64_t o = 0; o < 3; ++o) {
    for (int64_t i = 5; i < 8; ++i) EXPECT_EQ(dw[o * 8 + i], -7.0F);
  }
}

}  // namespace
}  // namespace megin::matrix
