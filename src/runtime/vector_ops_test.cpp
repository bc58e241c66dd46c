#include "runtime/vector_ops.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

#include "base/highway_test_targets.h"

namespace megin::runtime {
namespace {

Rows one_row(std::vector<float>& values) {
  return {values.data(), 1, static_cast<int64_t>(values.size())};
}

TEST(VectorOps, LayerNormOfFourNumbers) {
  on_each_target([] {
    // Mean 2.5, variance 1.25 (+ 0.19 = 1.44, root 1.2).
    std::vector<float> x = {1, 2, 3, 4};
    const std::vector<float> weight = {1.2F, 2.4F, 1.2F, 1.2F}, bias = {0, 1, 0, -1};
    normalise({weight, bias, 0.19F}, one_row(x), one_row(x));
    const std::vector<float> wanted = {-1.5F, 0.0F, 0.5F, 0.5F};
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(x[i], wanted[i], 1e-6) << i;
  });
}

TEST(VectorOps, RmsNormOfTwoNumbers) {
  on_each_target([] {
    // Mean square (9 + 16) / 2 = 12.5; 12.5 + 3.5 = 16, root 4.
    std::vector<float> x = {3, 4};
    const std::vector<float> weight = {4, 8};
    normalise({weight, {}, 3.5F}, one_row(x), one_row(x));
    EXPECT_NEAR(x[0], 3, 1e-6);
    EXPECT_NEAR(x[1], 8, 1e-6);
  });
}

TEST(VectorOps, NormOfALongRowHasMeanZeroAndVarianceOne) {
  on_each_target([] {
    for (const size_t width : {5, 31, 64, 129, 515}) {
      std::vector<float> x(width), weight(width, 1.0F), bias(width, 0.0F);
      for (size_t i = 0; i < width; ++i) x[i] = static_cast<float>((i * 37) % 11) + 100.0F;
      normalise({weight, bias, 0.0F}, one_row(x), one_row(x));
      double mean = 0, square = 0;
      for (const float v : x) mean += v / static_cast<double>(width);
      for (const float v : x) square += v * v / static_cast<double>(width);
      EXPECT_NEAR(mean, 0, 1e-4) << width;
      EXPECT_NEAR(square, 1, 1e-4) << width;
    }
  });
}

double phi(double x) {
  return 0.5 * std::erfc(-x / std::sqrt(2.0));
}

TEST(VectorOps, ActivationsFollowTheirFormulas) {
  using config::Activation;
  on_each_target([] {
    for (float v = -12.0F; v <= 12.0F; v += 0.37F) {
      // 19 columns: whole vectors and a rest.
      std::vector<float> gate(19, v);
      const auto result = [&](Activation activation) {
        std::vector<float> h(19, config::is_gated(activation) ? 3.0F : v);
        activate(activation, 19, one_row(gate), one_row(h));
        EXPECT_EQ(h, std::vector<float>(19, h[0]));
        return h[0];
      };
      const double tolerance = 2e-6 * (1 + std::abs(v));
      EXPECT_EQ(result(Activation::kRelu), std::max(v, 0.0F));
      EXPECT_EQ(result(Activation::kReglu), 3 * std::max(v, 0.0F));
      EXPECT_NEAR(result(Activation::kGelu), v * phi(v), tolerance);
      const double inner = std::sqrt(2 / std::numbers::pi) * (v + 0.044715 * v * v * v);
      EXPECT_NEAR(result(Activation::kGeluTanh), 0.5 * v * (1 + std::tanh(inner)), tolerance);
      EXPECT_NEAR(result(Activation::kGeglu), 3 * v * phi(v), 3 * tolerance);
      EXPECT_NEAR(result(Activation::kSilu), v / (1 + std::exp(-static_cast<double>(v))), tolerance);
      EXPECT_NEAR(result(Activation::kSwiglu), 3 * v / (1 + std::exp(-static_cast<double>(v))),
                  3 * tolerance);
    }
  });
}

TEST(VectorOps, SiluOfExtremesIsFinite) {
  std::vector<float> h = {-1000.0F, 1000.0F};
  activate(config::Activation::kSilu, 2, one_row(h), one_row(h));
  EXPECT_EQ(h[0], 0.0F);
  EXPECT_EQ(h[1], 1000.0F);
}

TEST(VectorOps, LogSoftmaxOfFourNumbers) {
  on_each_target([] {
    // ln(1 + e + e^2 + e^-1) = 2.4401897
    std::vector<float> x = {0, 1, 2, -1};
    log_softmax(4, one_row(x));
    const std::vector<double> wanted = {-2.4401897, -1.4401897, -0.4401897, -3.4401897};
    for (size_t i = 0; i < 4; ++i) EXPECT_NEAR(x[i], wanted[i], 1e-6);
  });
}

TEST(VectorOps, LogSoftmaxSurvivesExtremesAndSumsToOne) {
  on_each_target([] {
    for (const size_t width : {1, 9, 40, 1003}) {
      std::vector<float> x(width);
      for (size_t i = 0; i < width; ++i) x[i] = i % 2 ? 200.0F : -200.0F + static_cast<float>(i);
      log_softmax(static_cast<int64_t>(width), one_row(x));
      double total = 0;
      for (const float v : x) total += std::exp(static_cast<double>(v));
      EXPECT_NEAR(total, 1.0, 2e-5) << width;
    }
  });
}

}  // namespace
}  // namespace megin::runtime
