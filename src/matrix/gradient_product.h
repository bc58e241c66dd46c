// The gradient of a linear layer's weight: dW = dy^T x, a sum over rows.
#pragma once

#include "matrix/rows.h"

namespace megin::matrix {

// dw[o, i] = sum over r of dy[r, o] * x[r, i], or that added to what dw holds.
// dy: [rows, at least dw.count]; x: [rows, inputs]; dw: [outputs, inputs], must not overlap the others.
// Every element is one multiply-add per row in ascending order, in one fp32 accumulator: the same bits
// whatever part of dw a call computes. Keeps one buffer of about 256 * (inputs + 96) floats for each thread
// that calls it.
enum class Sum { kFromZero, kAdd };
void multiply_gradient(ConstRows dy, ConstRows x, int64_t inputs, Rows dw, Sum sum);

}  // namespace megin::matrix
