#include "net/fused_feed_forward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "net/clones.h"
#include "net/dropout.h"
#include "net/row_parts.h"

namespace megin::net {
namespace {

MEGIN_CLONES void relu(float* x, int64_t size) {
  for (int64_t i = 0; i < size; ++i) x[i] = std::max(x[i], 0.0f);
}

// In place: dropout(relu(x)) of rows [part.first, part.first + part.rows) out of `rows`.
void activate(float* x, const RowPart& part, int64_t rows, int64_t width, const DropoutMask& mask) {
  relu(x, part.rows * width);
  if (mask.probability <= 0) return;
  const int64_t rows_of_pass = rows / mask.passes;
  int64_t row = part.first;
  while (row < part.first + part.rows) {  // a part may hold rows of two passes
    const int64_t pass = row / rows_of_pass;
    const int64_t last = std::min(part.first + part.rows, (pass + 1) * rows_of_pass);
    DropoutSpan span = dropout_span_for(mask.probability, mask.keys[static_cast<size_t>(pass)]);
    span.first = (row - pass * rows_of_pass) * width;
    float* const from = x + (row - part.first) * width;
    dropout_span(from, from, (last - row) * width, span);
    row = last;
  }
}

// gradient[i] *= scale where the activation let through something, else 0: a dropped or negative input has
// inner[i] = 0.
MEGIN_CLONES void activate_backward(float* gradient, const float* inner, int64_t size, float scale) {
  for (int64_t i = 0; i < size; ++i) gradient[i] = inner[i] > 0 ? gradient[i] * scale : 0.0f;
}

struct FeedForwardFunction : torch::autograd::Function<FeedForwardFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& fc1_weight, const at::Tensor& fc1_bias,
                            const at::Tensor& fc2_weight, const at::Tensor& fc2_bias,
                            const DropoutMask* mask) {
    const at::Tensor input = x.contiguous();
    const int64_t rows = input.size(0), width = fc1_weight.size(0);
    const at::Tensor inner = at::empty({rows, width}, at::kFloat);
    const at::Tensor output = at::empty({rows, fc2_weight.size(0)}, at::kFloat);
    for_row_parts(rows, [&](const RowPart& part) {
      at::Tensor to_inner = rows_of(inner, part), to_output = rows_of(output, part);
      at::addmm_out(to_inner, fc1_bias, rows_of(input, part), fc1_weight.t());
      activate(to_inner.data_ptr<float>(), part, rows, width, *mask);
      at::addmm_out(to_output, fc2_bias, to_inner, fc2_weight.t());
    });
    context->save_for_backward({input, inner, fc1_weight, fc2_weight});
    const bool drops = mask->probability > 0;
    context->saved_data["scale"] =
        drops ? static_cast<double>(dropout_span_for(mask->probability, 0).scale) : 1.0;
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &inner = saved[1], &fc1_weight = saved[2], &fc2_weight = saved[3];
    const at::Tensor gradient = upstream[0].contiguous();
    const auto scale = static_cast<float>(context->saved_data["scale"].toDouble());
    const int64_t rows = input.size(0), d = input.size(1), width = inner.size(1);
    const int64_t parts = row_part_count(rows);
    const at::Tensor input_gradient = at::empty_like(input);
    const at::Tensor fc1_parts = at::empty({parts, width, d}, at::kFloat),
                     fc1_bias_parts = at::empty({parts, width}, at::kFloat),
                     fc2_parts = at::empty({parts, d, width}, at::kFloat),
                     fc2_bias_parts = at::empty({parts, d}, at::kFloat);
    for_row_parts(rows, [&](const RowPart& part) {
      const at::Tensor from = rows_of(gradient, part), part_inner = rows_of(inner, part);
      at::Tensor to_fc2 = fc2_parts[part.number], to_fc2_bias = fc2_bias_parts[part.number];
      at::mm_out(to_fc2, from.t(), part_inner);
      at::sum_out(to_fc2_bias, from, 0);
      const at::Tensor inner_gradient = at::mm(from, fc2_weight);
      activate_backward(inner_gradient.data_ptr<float>(), part_inner.data_ptr<float>(),
                        inner_gradient.numel(), scale);
      at::Tensor to_fc1 = fc1_parts[part.number], to_fc1_bias = fc1_bias_parts[part.number];
      at::Tensor to_input = rows_of(input_gradient, part);
      at::mm_out(to_fc1, inner_gradient.t(), rows_of(input, part));
      at::sum_out(to_fc1_bias, inner_gradient, 0);
      at::mm_out(to_input, inner_gradient, fc1_weight);
    });
    return {input_gradient,          sum_of_parts(fc1_parts),      sum_of_parts(fc1_bias_parts),
            sum_of_parts(fc2_parts), sum_of_parts(fc2_bias_parts), at::Tensor()};
  }
};

}  // namespace

at::Tensor fused_feed_forward(const at::Tensor& x, const FeedForwardParameters& parameters,
                              const DropoutMask& activation) {
  return FeedForwardFunction::apply(x, parameters.fc1_weight, parameters.fc1_bias, parameters.fc2_weight,
                                    parameters.fc2_bias, &activation);
}

}  // namespace megin::net
