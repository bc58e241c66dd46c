// y = x W^T + b, part of the rows by part (net/row_parts.h): the same bytes at any thread count.
#pragma once

#include <ATen/core/Tensor.h>

#include "net/forward_context.h"

namespace megin::net {

// x: [rows, in], weight: [out, in], bias: [out] or undefined, fp32. Returns [rows, out]. Differentiable in
// all three. The twin, at::linear, serves plain products and tensors that are not on the CPU.
at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Operations operations);

}  // namespace megin::net
