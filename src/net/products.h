// The products of linear layers over the rows of a batch, on all threads: y = x W^T + b, and its gradients.
// Own kernels (src/matrix), as a library packs each operand anew for each product, and clears and reads the
// result; the matrix library serves the plain operations.
#pragma once

#include <ATen/core/Tensor.h>

#include "matrix/packed_product.h"
#include "net/row_parts.h"

namespace megin::net {

// sum[i] = the sum over x's rows of their first `width` columns, in the order of the rows.
void sum_rows(const matrix::ConstRows& x, int64_t width, float* sum);

// `weight`, fp32, contiguous, packed by all threads.
matrix::PackedMatrix packed(const at::Tensor& weight, matrix::Layout layout);

// The rows of a part of `x`, [rows, width], fp32, contiguous.
matrix::ConstRows const_rows(const at::Tensor& x, const RowPart& part);
matrix::Rows mutable_rows(const at::Tensor& x, const RowPart& part);

inline std::span<const float> values_of(const at::Tensor& x) {
  return {x.data_ptr<float>(), static_cast<size_t>(x.numel())};
}

struct LinearGradients {
  at::Tensor weight;  // [out, in] = dy^T x
  at::Tensor bias;    // [out], the sum of dy's rows
};

// dy: [rows, out], x: [rows, in], fp32, contiguous. How the sums over rows are cut depends on the shapes
// only: the same bytes at any thread count.
LinearGradients linear_gradients(const at::Tensor& dy, const at::Tensor& x);

}  // namespace megin::net
