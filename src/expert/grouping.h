// Rows sorted by the expert that they meet, and back: what surrounds the products of a grouped dispatch. The
// cost grows with the rows, not with the number of experts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace megin::expert {

// Choices (a token's first expert, second ...) in the order of their experts, then of their rows.
struct Grouping {
  int64_t choices = 1;         // k
  std::vector<int64_t> rows;   // of each place in that order: the row of x
  std::vector<int64_t> place;  // [rows of x * k]: where a choice stands in that order; -1: it meets no expert
  std::vector<int64_t> ends;   // [N + 1]: expert e has places [ends[e], ends[e + 1])
};

// experts: [rows, k], int64; negative: none.
std::shared_ptr<const Grouping> group_by_expert(const at::Tensor& experts, int64_t count);

// x: [rows, d] -> [places, d]: x's rows in the order of the grouping. Differentiable.
at::Tensor gather(const at::Tensor& x, const std::shared_ptr<const Grouping>& grouping);

// y: [places, d], gates: [rows, k] or undefined (1) -> [rows, d]: the sum over a row's choices of gate times
// output; zero for a row without any. Differentiable in y and gates.
at::Tensor combine(const at::Tensor& y, const at::Tensor& gates,
                   const std::shared_ptr<const Grouping>& grouping);

}  // namespace megin::expert
