// Rows of LayerNorm, forward and backward. For fused_residual.cpp only.
#pragma once

#include <cstdint>

namespace megin::net {

struct NormRow {
  const float* weight;
  const float* bias;
  float epsilon;
  int64_t width;
};

// y += x
void add_row(float* y, const float* x, int64_t width);

// out = (in - mean) / sqrt(variance + epsilon) * weight + bias; moments: mean and reciprocal deviation.
void normalise_row(const float* in, float* out, float* moments, const NormRow& norm);

struct NormRowInputs {
  const float* sum;       // what was normalised
  const float* gradient;  // of the output
  const float* weight;
  const float* moments;
};
struct NormRowGradients {
  float* input;   // written
  float* weight;  // added to
  float* bias;    // added to
};
// What is written must not overlap anything else.
void normalise_row_backward(const NormRowInputs& in, const NormRowGradients& out, int64_t width);

}  // namespace megin::net
