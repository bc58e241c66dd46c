// For tests: compares the gradients of a function with finite differences.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "base/random.h"

namespace megin::net {

inline at::Tensor normal_tensor(at::IntArrayRef shape, uint64_t seed, double scale = 1.0) {
  at::Tensor x = at::empty(shape, at::kFloat);
  for (int64_t i = 0; i < x.numel(); ++i) {
    x.data_ptr<float>()[i] = static_cast<float>(scale * draw_normal(draw_key(seed, Purpose::kSampling), i));
  }
  return x;
}

// `function` gives any tensor; the loss is its product with fixed random weights, summed in double. For each
// of `inputs` (leaves) the derivative along a random direction is compared with the central difference. With
// steps of 1e-2 and losses of about 1, fp32 leaves an error of about 1e-4 and the third derivative one of
// about 1e-4.
inline void expect_gradients(const std::function<at::Tensor()>& function, std::vector<at::Tensor> inputs) {
  at::Tensor weights;
  const auto loss = [&] {
    const at::Tensor y = function();
    if (!weights.defined())
      weights = normal_tensor(y.sizes(), 77) / std::sqrt(static_cast<double>(y.numel()));
    return (y.to(at::kDouble) * weights.to(at::kDouble)).sum();
  };
  for (at::Tensor& input : inputs) {
    if (input.grad().defined()) input.grad().zero_();
  }
  loss().backward();
  for (size_t i = 0; i < inputs.size(); ++i) {
    const at::NoGradGuard no_gradients;
    const at::Tensor direction = normal_tensor(inputs[i].sizes(), 100 + i);
    const double analytic =
        (inputs[i].grad().to(at::kDouble) * direction.to(at::kDouble)).sum().item<double>();
    constexpr double kStep = 1e-2;
    const at::Tensor middle = inputs[i].clone();
    inputs[i].copy_(middle + direction * kStep);
    const double above = loss().item<double>();
    inputs[i].copy_(middle - direction * kStep);
    const double below = loss().item<double>();
    inputs[i].copy_(middle);
    const double numeric = (above - below) / (2 * kStep);
    EXPECT_NEAR(analytic, numeric, 3e-3 * std::max(1.0, std::abs(numeric))) << "input " << i;
    EXPECT_NE(analytic, 0) << "input " << i;
  }
}

}  // namespace megin::net
