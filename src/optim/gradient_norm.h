// Length of the gradient, and what clipping makes of it.
#pragma once

#include <span>

#include "base/thread_pool.h"

namespace megin::optim {

struct GradientNorm {
  double norm = 0.0;   // L2
  bool finite = true;  // false if any element is infinite or not a number; `norm` is then no number of use
};

// Of all elements, summed in double over blocks of fixed size that are combined in order: the same bytes at
// any thread count and on any processor (a square of a float is exact in double, so that a fused
// multiply-add changes nothing).
GradientNorm gradient_norm(std::span<const float> gradient, ThreadPool& pool);

// What to multiply a gradient of length `norm` with so that it is at most `limit` long:
// min(1, limit / (norm + 1e-6)), as torch and fairseq; 1 if limit is 0.
double clip_factor(double norm, double limit);

}  // namespace megin::optim
