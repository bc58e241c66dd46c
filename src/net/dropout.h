// Dropout (Srivastava et al. 2014) whose mask is a hash of a key and the element's index: the same mask at
// any thread count, in a resumed run, and in the backward pass, which draws it again instead of storing it.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "net/forward_context.h"

namespace megin::net {

// y_i = x_i / (1 - p) where element i is kept, else 0. x: fp32, its first dimension divisible by mask.passes.
// The probability is rounded to a multiple of 2^-16. Differentiable.
at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask);

// The kernel: out[i] = in[i] * scale where draw first + i of `key` keeps the element, else 0; in may be out.
void dropout_span(const float* in, float* out, int64_t size, const struct DropoutSpan& span);

struct DropoutSpan {
  uint64_t key = 0;
  int64_t first = 0;       // number of the first element's draw
  uint32_t threshold = 0;  // an element is dropped when its 16 random bits are below this
  float scale = 1;         // 1 / (1 - p)
};

// The span of a probability, from element 0.
DropoutSpan dropout_span_for(double probability, uint64_t key);

}  // namespace megin::net
