#include "net/positions.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace megin::net {
namespace {

constexpr int64_t kFirstPosition = 2;
constexpr double kBase = 10000.0;

}  // namespace

at::Tensor sinusoidal_positions(int64_t length, int64_t width) {
  const int64_t half = width / 2;
  at::Tensor table = at::zeros({length, width}, at::kFloat);
  auto values = table.accessor<float, 2>();
  const double step = std::log(kBase) / static_cast<double>(std::max<int64_t>(1, half - 1));
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t k = 0; k < half; ++k) {
      const double angle = static_cast<double>(t + kFirstPosition) * std::exp(-static_cast<double>(k) * step);
      values[t][k] = static_cast<float>(std::sin(angle));
      values[t][half + k] = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

at::Tensor distance_vectors(int64_t count, int64_t width) {
  const int64_t half = width / 2;
  at::Tensor table = at::zeros({count, width}, at::kFloat);
  auto values = table.accessor<float, 2>();
  for (int64_t t = 0; t < count; ++t) {
    for (int64_t k = 0; k < half; ++k) {
      const double frequency = std::pow(kBase, -static_cast<double>(2 * k) / static_cast<double>(width));
      const double angle = static_cast<double>(t) * frequency;
      values[t][k] = static_cast<float>(std::sin(angle));
      values[t][half + k] = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

at::Tensor rotate(const at::Tensor& x) {
  const int64_t length = x.size(-2);
  const int64_t half = x.size(-1) / 2;
  at::Tensor angles = at::empty({length, half}, at::kFloat);
  auto values = angles.accessor<float, 2>();
  for (int64_t t = 0; t < length; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      values[t][i] = static_cast<float>(static_cast<double>(t) *
                                        std::pow(kBase, -static_cast<double>(i) / static_cast<double>(half)));
    }
  }
  const at::Tensor sine = angles.sin(), cosine = angles.cos();
  const at::Tensor first = x.narrow(-1, 0, half), second = x.narrow(-1, half, half);
  return at::cat({first * cosine - second * sine, second * cosine + first * sine}, -1);
}

}  // namespace megin::net
