#include "net/fused_feed_forward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "net/clones.h"
#include "net/dropout.h"
#include "net/products.h"

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

// gradient[i] *= scale where the activation let something through, else 0: of a dropped or negative input,
// inner[i] is 0.
MEGIN_CLONES void activate_backward(float* gradient, const float* inner, int64_t size, float scale) {
  for (int64_t i = 0; i < size; ++i) {  // a factor, no branch: signs are random
    const float factor = inner[i] > 0 ? scale : 0.0f;
    gradient[i] *= factor;
  }
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
    const matrix::PackedMatrix fc1 = packed(fc1_weight, matrix::Layout::kOutputsByInputs),
                               fc2 = packed(fc2_weight, matrix::Layout::kOutputsByInputs);
    for_row_parts(rows, [&](const RowPart& part) {
      const matrix::Rows to_inner = mutable_rows(inner, part);
      matrix::multiply(fc1, values_of(fc1_bias), const_rows(input, part), to_inner);
      activate(to_inner.data, part, rows, width, *mask);
      matrix::multiply(fc2, values_of(fc2_bias), to_inner, mutable_rows(output, part));
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
    const int64_t rows = input.size(0), width = inner.size(1);
    const at::Tensor input_gradient = at::empty_like(input), inner_gradient = at::empty_like(inner);
    const matrix::PackedMatrix fc1 = packed(fc1_weight, matrix::Layout::kInputsByOutputs),
                               fc2 = packed(fc2_weight, matrix::Layout::kInputsByOutputs);
    for_row_parts(rows, [&](const RowPart& part) {
      const matrix::Rows to_inner = mutable_rows(inner_gradient, part);
      matrix::multiply(fc2, {}, const_rows(gradient, part), to_inner);
      activate_backward(to_inner.data, const_rows(inner, part).data, part.rows * width, scale);
      matrix::multiply(fc1, {}, to_inner, mutable_rows(input_gradient, part));
    });
    const LinearGradients of_fc1 = linear_gradients(inner_gradient, input),
                          of_fc2 = linear_gradients(gradient, inner);
    return {input_gradient, of_fc1.weight, of_fc1.bias, of_fc2.weight, of_fc2.bias, at::Tensor()};
  }
};

}  // namespace

at::Tensor fused_feed_forward(const at::Tensor& x, const FeedForwardParameters& parameters,
                              const DropoutMask& activation) {
  return FeedForwardFunction::apply(x, parameters.fc1_weight, parameters.fc1_bias, parameters.fc2_weight,
                                    parameters.fc2_bias, &activation);
}

}  // namespace megin::net
