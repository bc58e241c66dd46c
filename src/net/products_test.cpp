#include "net/products.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <array>

namespace megin::net {
namespace {

struct Shape {
  int64_t rows, outputs, inputs;
};

// Rows and outputs that are cut into one part and into several, evenly and not.
constexpr Shape kShapes[] = {{1, 1, 1},      {5, 3, 2},     {130, 7, 40},
                             {1031, 33, 20}, {300, 515, 9}, {1500, 1100, 17}};

// Sums of `terms` products in any order err by at most terms * 2^-24 of the sum of magnitudes, nearly; the
// parts' sums are included.
void expect_within_bound(const at::Tensor& found, const at::Tensor& exact, const at::Tensor& magnitude,
                         int64_t terms) {
  const double bound = static_cast<double>(terms + 8) * 0x1p-24 * 1.01;
  EXPECT_TRUE(((found.to(at::kDouble) - exact).abs() <= magnitude * bound).all().item<bool>());
}

TEST(Products, GradientsAreThoseOfDoublePrecision) {
  at::manual_seed(1);
  for (const auto& [rows, outputs, inputs] : kShapes) {
    SCOPED_TRACE(rows);
    const at::Tensor dy = at::randn({rows, outputs}), x = at::randn({rows, inputs});
    const LinearGradients found = linear_gradients(dy, x);
    const at::Tensor dy64 = dy.to(at::kDouble), x64 = x.to(at::kDouble);
    expect_within_bound(found.weight, at::mm(dy64.t(), x64), at::mm(dy64.abs().t(), x64.abs()), rows);
    expect_within_bound(found.bias, dy64.sum(0), dy64.abs().sum(0), rows);
  }
}

TEST(Products, BothLayoutsGiveTheProductsOfDoublePrecision) {
  at::manual_seed(2);
  for (const auto& [rows, outputs, inputs] : kShapes) {
    SCOPED_TRACE(rows);
    const at::Tensor x = at::randn({rows, inputs}), weight = at::randn({outputs, inputs}),
                     bias = at::randn({outputs});
    const RowPart all{.first = 0, .rows = rows};
    const at::Tensor x64 = x.to(at::kDouble), weight64 = weight.to(at::kDouble);
    const at::Tensor y = at::empty({rows, outputs});
    matrix::multiply(packed(weight, matrix::Layout::kOutputsByInputs), values_of(bias), const_rows(x, all),
                     mutable_rows(y, all));
    expect_within_bound(y, at::mm(x64, weight64.t()) + bias.to(at::kDouble),
                        at::mm(x64.abs(), weight64.abs().t()) + bias.to(at::kDouble).abs(), inputs);
    const at::Tensor back = at::empty({rows, inputs});
    matrix::multiply(packed(weight, matrix::Layout::kInputsByOutputs), {}, const_rows(y, all),
                     mutable_rows(back, all));
    const at::Tensor y64 = y.to(at::kDouble);
    expect_within_bound(back, at::mm(y64, weight64), at::mm(y64.abs(), weight64.abs()), outputs);
  }
}

TEST(Products, AnyNumberOfThreadsGivesTheSameBytes) {
  at::manual_seed(3);
  const int threads = at::get_num_threads();
  for (const auto& [rows, outputs, inputs] : kShapes) {
    SCOPED_TRACE(rows);
    const at::Tensor dy = at::randn({rows, outputs}), x = at::randn({rows, inputs});
    at::set_num_threads(1);
    const LinearGradients one = linear_gradients(dy, x);
    for (const int more : {2, 3, 5}) {
      at::set_num_threads(more);
      const LinearGradients several = linear_gradients(dy, x);
      EXPECT_TRUE(at::equal(several.weight, one.weight));
      EXPECT_TRUE(at::equal(several.bias, one.bias));
    }
  }
  at::set_num_threads(threads);
}

}  // namespace
}  // namespace megin::net
