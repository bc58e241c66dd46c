#include "net/feed_forward_kernel.h"

#include <algorithm>

#include "net/clones.h"
#include "net/dot.h"
#include "net/dropout.h"

namespace megin::net {
namespace {

MEGIN_CLONES void relu(float* x, int64_t size) {
  for (int64_t i = 0; i < size; ++i) x[i] = std::max(x[i], 0.0f);
}

MEGIN_CLONES void multiply_by(float* x, int64_t size, float factor) {
  for (int64_t i = 0; i < size; ++i) x[i] *= factor;
}

MEGIN_CLONES void pass_where_not_zero(float* gradient, const float* inner, int64_t size, float factor) {
  for (int64_t i = 0; i < size; ++i) {  // a factor, no branch: signs are random
    const float passed = inner[i] != 0 ? factor : 0.0f;
    gradient[i] *= passed;
  }
}

}  // namespace

void activate_rows(float* x, const ActivatedRows& of, const DropoutMask& mask) {
  relu(x, of.count * of.width);
  if (mask.probability <= 0) return;
  const int64_t rows_of_pass = of.rows / mask.passes;
  int64_t row = of.first;
  while (row < of.first + of.count) {  // a part may hold rows of two passes
    const int64_t pass = row / rows_of_pass;
    const int64_t last = std::min(of.first + of.count, (pass + 1) * rows_of_pass);
    DropoutSpan span = dropout_span_for(mask.probability, mask.keys[static_cast<size_t>(pass)]);
    span.first = (row - pass * rows_of_pass) * of.width;
    float* const from = x + (row - of.first) * of.width;
    dropout_span(from, from, (last - row) * of.width, span);
    row = last;
  }
}

void activate_rows_backward(float* gradient, const float* inner, int64_t size, float scale) {
  pass_where_not_zero(gradient, inner, size, scale);
}

void scale_blocks(float* x, int64_t rows, int64_t width, const BlockFactors& factors) {
  const int64_t block = width / factors.count;
  for (int64_t i = 0; i < rows * factors.count; ++i) multiply_by(x + i * block, block, factors.data[i]);
}

void scale_blocks_backward(float* gradient, const float* scaled, int64_t rows, int64_t width, float scale,
                           const BlockFactors& factors, float* factor_gradients) {
  const int64_t block = width / factors.count;
  for (int64_t i = 0; i < rows * factors.count; ++i) {
    const float factor = factors.data[i];
    float* const from = gradient + i * block;
    factor_gradients[i] = factor != 0 ? dot(from, scaled + i * block, block) / factor : 0.0f;
    pass_where_not_zero(from, scaled + i * block, block, factor * scale);
  }
}

float dropout_scale(const DropoutMask& mask) {
  return mask.probability > 0 ? dropout_span_for(mask.probability, 0).scale : 1.0f;
}

}  // namespace megin::net
