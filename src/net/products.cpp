#include "net/products.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>

#include "matrix/gradient_product.h"
#include "net/clones.h"

namespace megin::net {
namespace {

constexpr int64_t kTasks = 8;  // of one product, as in row_part_count()

}  // namespace

MEGIN_CLONES void sum_rows(const matrix::ConstRows& x, int64_t width, float* sum) {
  std::fill_n(sum, width, 0.0f);
  for (int64_t r = 0; r < x.count; ++r) {
    const float* const row = x.row(r);
    for (int64_t i = 0; i < width; ++i) sum[i] += row[i];
  }
}

matrix::PackedMatrix packed(const at::Tensor& weight, matrix::Layout layout) {
  TORCH_INTERNAL_ASSERT(weight.is_contiguous() && weight.dim() == 2);
  const bool as_stored = layout == matrix::Layout::kOutputsByInputs;
  matrix::PackedMatrix to(weight.size(as_stored ? 0 : 1), weight.size(as_stored ? 1 : 0));
  const float* const from = weight.data_ptr<float>();
  constexpr int64_t kFewest = 1 << 15;  // elements worth a thread
  const int64_t grain = std::max<int64_t>(1, kFewest / (to.inputs() * to.panel_width()));
  at::parallel_for(0, to.panels(), grain,
                   [&](int64_t first, int64_t last) { to.pack_panels(from, layout, first, last); });
  return to;
}

matrix::ConstRows const_rows(const at::Tensor& x, const RowPart& part) {
  return mutable_rows(x, part);
}

matrix::Rows mutable_rows(const at::Tensor& x, const RowPart& part) {
  TORCH_INTERNAL_ASSERT(x.is_contiguous() && x.dim() == 2);
  const int64_t width = x.size(1);
  return {.data = x.data_ptr<float>() + part.first * width, .count = part.rows, .stride = width};
}

// Small weights are cut along the rows, with a sum of partial gradients at the end; large ones, whose partial
// gradients would be much memory, along their outputs.
LinearGradients linear_gradients(const at::Tensor& dy, const at::Tensor& x) {
  constexpr int64_t kOutputsOfTask = 256;
  const int64_t rows = dy.size(0), outputs = dy.size(1), inputs = x.size(1);
  const int64_t output_parts = std::clamp<int64_t>(outputs / kOutputsOfTask, 1, kTasks);
  const int64_t row_parts = std::min(row_part_count(rows), kTasks / output_parts);
  const at::Tensor weight = at::empty({row_parts, outputs, inputs}, at::kFloat);
  const at::Tensor bias = at::empty({row_parts, outputs}, at::kFloat);
  float *const weight_data = weight.data_ptr<float>(), *const bias_data = bias.data_ptr<float>();
  for_tasks(row_parts * output_parts, [&](int64_t task) {
    const int64_t row_part = task / output_parts, output_part = task % output_parts;
    const int64_t row = rows * row_part / row_parts, count = rows * (row_part + 1) / row_parts - row;
    const int64_t output = outputs * output_part / output_parts,
                  width = outputs * (output_part + 1) / output_parts - output;
    const matrix::ConstRows from(dy.data_ptr<float>() + row * outputs + output, count, outputs);
    const int64_t to = row_part * outputs + output;
    matrix::multiply_gradient(
        {.dy = from, .x = {x.data_ptr<float>() + row * inputs, count, inputs}, .inputs = inputs},
        {weight_data + to * inputs, width, inputs}, matrix::Sum::kFromZero);
    sum_rows(from, width, bias_data + to);
  });
  return {.weight = sum_of_parts(weight), .bias = sum_of_parts(bias)};
}

}  // namespace megin::net
