// The inner loop of adam.cpp, by itself so that the benchmark can name it. For sources of this folder only.
#pragma once

#include <cstdint>

#include "optim/adam_factors.h"

namespace megin::optim {

// First elements of a block; `average` is not read unless factors.average.
struct AdamPointers {
  float* values;
  float* gradients;
  float* first_moments;
  float* second_moments;
  float* average;
};

// Updates `size` elements, with the widest instructions that the processor has.
void adam_block(const AdamFactors& factors, const AdamPointers& block, int64_t size);

// average += gain * (values - average).
void average_block(float* average, const float* values, float gain, int64_t size);

// While an object lives, this thread's results and operands below the smallest normal number count as 0.
class FlushSubnormals {
 public:
  FlushSubnormals();
  FlushSubnormals(const FlushSubnormals&) = delete;
  FlushSubnormals& operator=(const FlushSubnormals&) = delete;
  ~FlushSubnormals();

 private:
  uint64_t former_;
};

}  // namespace megin::optim
