#include "net/attention_kernel.h"

#include <algorithm>
#include <cmath>

// Compiled for several instruction sets, chosen when the program is loaded; the loops are written so that the
// compiler vectorises them without reordering a sum.
#define MEGIN_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

namespace megin::net {
namespace {

// y[0..n) += a * x[0..n)
inline void add_scaled(float* y, const float* x, float a, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

// out[i * n + t] = rows(t, i): a head's rows as columns.
inline void transpose(const HeadRows& rows, int64_t n, int64_t width, float* out) {
  for (int64_t t = 0; t < n; ++t) {
    for (int64_t i = 0; i < width; ++i) out[i * n + t] = rows.data[t * rows.stride + i];
  }
}

inline int64_t visible(const HeadShape& shape, int64_t t) {
  return shape.causal ? std::min(t + 1, shape.keys) : shape.keys;
}

inline void softmax_row(float* p, int64_t n) {
  float top = p[0];
  for (int64_t s = 1; s < n; ++s) top = std::max(top, p[s]);
  float sum = 0;
  for (int64_t s = 0; s < n; ++s) {
    p[s] = std::exp(p[s] - top);
    sum += p[s];
  }
  const float scale = 1.0f / sum;
  for (int64_t s = 0; s < n; ++s) p[s] *= scale;
}

}  // namespace

int64_t attention_scratch(const HeadShape& shape) {
  return shape.keys * shape.width + shape.keys;
}

MEGIN_CLONES void attend_head(const Head& head, const HeadShape& shape, float* scratch) {
  float* const keys = scratch;  // [width, keys]
  transpose(head.key, shape.keys, shape.width, keys);
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.width));
  for (int64_t t = 0; t < shape.queries; ++t) {
    const int64_t n = visible(shape, t);
    float* const p = head.probabilities + t * shape.row;
    const float* const q = head.query.data + t * head.query.stride;
    std::fill(p, p + n, 0.0f);
    for (int64_t i = 0; i < shape.width; ++i) add_scaled(p, keys + i * shape.keys, q[i] * scale, n);
    softmax_row(p, n);
    float* const out = head.output.data + t * head.output.stride;
    std::fill(out, out + shape.width, 0.0f);
    for (int64_t s = 0; s < n; ++s)
      add_scaled(out, head.value.data + s * head.value.stride, p[s], shape.width);
  }
}

MEGIN_CLONES void attend_head_backward(const Head& head, const HeadGradients& gradients,
                                       const HeadShape& shape, float* scratch) {
  float* const values = scratch;  // [width, keys]
  float* const ds = scratch + shape.keys * shape.width;
  transpose(head.value, shape.keys, shape.width, values);
  const float scale = 1.0f / std::sqrt(static_cast<float>(shape.width));
  for (int64_t s = 0; s < shape.keys; ++s) {
    std::fill_n(gradients.key.data + s * gradients.key.stride, shape.width, 0.0f);
    std::fill_n(gradients.value.data + s * gradients.value.stride, shape.width, 0.0f);
  }
  for (int64_t t = 0; t < shape.queries; ++t) {
    const int64_t n = visible(shape, t);
    const float* const p = head.probabilities + t * shape.row;
    const float* const go = gradients.output.data + t * gradients.output.stride;
    std::fill(ds, ds + n, 0.0f);
    for (int64_t i = 0; i < shape.width; ++i) add_scaled(ds, values + i * shape.keys, go[i], n);
    float mean = 0;
    for (int64_t s = 0; s < n; ++s) mean += p[s] * ds[s];
    for (int64_t s = 0; s < n; ++s) ds[s] = p[s] * (ds[s] - mean) * scale;
    float* const gq = gradients.query.data + t * gradients.query.stride;
    const float* const q = head.query.data + t * head.query.stride;
    std::fill(gq, gq + shape.width, 0.0f);
    for (int64_t s = 0; s < n; ++s) {
      add_scaled(gq, head.key.data + s * head.key.stride, ds[s], shape.width);
      add_scaled(gradients.key.data + s * gradients.key.stride, q, ds[s], shape.width);
      add_scaled(gradients.value.data + s * gradients.value.stride, go, p[s], shape.width);
    }
  }
}

}  // namespace megin::net
