// The gradient of a linear layer's weight: dW = dy^T x, a sum over rows.
#pragma once

#include "matrix/rows.h"

namespace megin::matrix {

struct GradientOperands {
  ConstRows dy;  // [rows, at least the outputs asked for]
  ConstRows x;   // [rows, inputs]
  int64_t inputs = 0;
};
enum class Sum { kFromZero, kAdd };

// dw[o, i] = sum over r of dy[r, o] * x[r, i], or that added to what dw holds. dw: [outputs, inputs], must
// not overlap the operands. Every element is one multiply-add per row in ascending order, in one fp32
// accumulator: the same bits whatever part of dw a call computes. Keeps one buffer of about 256 * (inputs +
// 96) floats for each thread that calls it.
void multiply_gradient(const GradientOperands& of, Rows dw, Sum sum);

}  // namespace megin::matrix
