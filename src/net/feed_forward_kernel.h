// The elementwise loops between a feed-forward's two products.
#pragma once

#include <cstdint>

#include "net/forward_context.h"

namespace megin::net {

// In place, on `count` rows of `width` that are rows first, first + 1 ... out of `rows`: dropout(relu(x)).
// rows must be divisible by the mask's passes.
struct ActivatedRows {
  int64_t first = 0;
  int64_t count = 0;
  int64_t rows = 0;
  int64_t width = 0;
};
void activate_rows(float* x, const ActivatedRows& of, const DropoutMask& mask);

// gradient[i] *= scale where the activation let something through, else 0: of a dropped or negative input,
// inner[i], the result of activate_rows(), is 0.
void activate_rows_backward(float* gradient, const float* inner, int64_t size, float scale);

// Equal blocks of a row's units, each with a factor: factors[row * count + block].
struct BlockFactors {
  const float* data = nullptr;
  int64_t count = 0;  // of each row
};

// In place, on `rows` rows of `width`: every unit times its block's factor.
void scale_blocks(float* x, int64_t rows, int64_t width, const BlockFactors& factors);

// activate_rows_backward() where scale_blocks() came after the activation. scaled: what that made, which is 0
// where nothing was let through. factor_gradients: [rows, count], written; 0 for a factor of 0.
void scale_blocks_backward(float* gradient, const float* scaled, int64_t rows, int64_t width, float scale,
                           const BlockFactors& factors, float* factor_gradients);

// 1 / (1 - p) of the mask, as dropout rounds p.
float dropout_scale(const DropoutMask& mask);

}  // namespace megin::net
