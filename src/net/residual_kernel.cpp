#include "net/residual_kernel.h"

#include <cmath>

#include "net/clones.h"

namespace megin::net {
namespace {

// Sums run in this many lanes, element i in lane i mod kLanes: an order that the compiler can vectorise.
constexpr int64_t kLanes = 16;

struct Lanes {
  float lane[kLanes] = {};
  float total() const {
    float sum = 0;
    for (const float x : lane) sum += x;
    return sum;
  }
};

// Adds term(i) for all i in [0, width).
template <typename Term>
inline float lane_sum(int64_t width, const Term& term) {
  Lanes sums;
  int64_t i = 0;
  for (; i + kLanes <= width; i += kLanes) {
    for (int64_t k = 0; k < kLanes; ++k) sums.lane[k] += term(i + k);
  }
  for (int64_t k = 0; i < width; ++i, ++k) sums.lane[k] += term(i);
  return sums.total();
}

}  // namespace

MEGIN_CLONES void add_row(float* y, const float* x, int64_t width) {
  for (int64_t i = 0; i < width; ++i) y[i] += x[i];
}

MEGIN_CLONES void normalise_row(const float* in, float* out, float* moments, const NormRow& norm) {
  const auto width = static_cast<float>(norm.width);
  const float mean = lane_sum(norm.width, [&](int64_t i) { return in[i]; }) / width;
  const float variance =
      lane_sum(norm.width, [&](int64_t i) { return (in[i] - mean) * (in[i] - mean); }) / width;
  const float scale = 1.0f / std::sqrt(variance + norm.epsilon);
  for (int64_t i = 0; i < norm.width; ++i) out[i] = (in[i] - mean) * scale * norm.weight[i] + norm.bias[i];
  moments[0] = mean;
  moments[1] = scale;
}

// With n the normalised input and g = gradient * weight: dx = (g - mean(g) - n * mean(g n)) / deviation.
MEGIN_CLONES void normalise_row_backward(const NormRowInputs& in, const NormRowGradients& out,
                                         int64_t width) {
  const float mean = in.moments[0], scale = in.moments[1];
  const auto normalised = [&](int64_t i) { return (in.sum[i] - mean) * scale; };
  const auto size = static_cast<float>(width);
  const float g_mean = lane_sum(width, [&](int64_t i) { return in.gradient[i] * in.weight[i]; }) / size;
  const float gn_mean =
      lane_sum(width, [&](int64_t i) { return in.gradient[i] * in.weight[i] * normalised(i); }) / size;
  for (int64_t i = 0; i < width; ++i) {
    const float n = normalised(i);
    out.input[i] = (in.gradient[i] * in.weight[i] - g_mean - n * gn_mean) * scale;
    out.weight[i] += in.gradient[i] * n;
    out.bias[i] += in.gradient[i];
  }
}

}  // namespace megin::net
