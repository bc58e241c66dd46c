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

struct Moments {
  float mean, scale;
  int64_t width;
};

// weight += gradient * n, bias += gradient. Without __restrict the compiler cannot know that no store changes
// an input, and goes element by element.
inline __attribute__((always_inline)) void add_norm_products(const float* __restrict gradient,
                                                             const float* __restrict sum,
                                                             const Moments& moments, float* __restrict weight,
                                                             float* __restrict bias) {
  const float mean = moments.mean, scale = moments.scale;
  for (int64_t i = 0; i < moments.width; ++i) {
    weight[i] += gradient[i] * ((sum[i] - mean) * scale);
    bias[i] += gradient[i];
  }
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
  const float *const sum = in.sum, *const gradient = in.gradient, *const weight = in.weight;
  float* const to_input = out.input;
  const auto size = static_cast<float>(width);
  const float g_mean = lane_sum(width, [&](int64_t i) { return gradient[i] * weight[i]; }) / size;
  const float gn_mean =
      lane_sum(width, [&](int64_t i) { return gradient[i] * weight[i] * ((sum[i] - mean) * scale); }) / size;
  add_norm_products(gradient, sum, {.mean = mean, .scale = scale, .width = width}, out.weight, out.bias);
  for (int64_t i = 0; i < width; ++i) {
    const float n = (sum[i] - mean) * scale;
    to_input[i] = (gradient[i] * weight[i] - g_mean - n * gn_mean) * scale;
  }
}

}  // namespace megin::net
