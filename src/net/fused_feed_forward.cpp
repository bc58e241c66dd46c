#include "net/fused_feed_forward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "net/feed_forward_kernel.h"
#include "net/products.h"

namespace megin::net {
namespace {

// An empty bias is none: functions take no undefined tensors.
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
      activate_rows(to_inner.data, {.first = part.first, .count = part.rows, .rows = rows, .width = width},
                    *mask);
      matrix::multiply(fc2, values_of(fc2_bias), to_inner, mutable_rows(output, part));
    });
    context->save_for_backward({input, inner, fc1_weight, fc2_weight});
    context->saved_data["scale"] = static_cast<double>(dropout_scale(*mask));
    context->saved_data["has_bias"] = fc1_bias.numel() > 0;
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
      activate_rows_backward(to_inner.data, const_rows(inner, part).data, part.rows * width, scale);
      matrix::multiply(fc1, {}, to_inner, mutable_rows(input_gradient, part));
    });
    LinearGradients of_fc1 = linear_gradients(inner_gradient, input),
                    of_fc2 = linear_gradients(gradient, inner);
    if (!context->saved_data["has_bias"].toBool()) of_fc1.bias = of_fc2.bias = at::Tensor();
    return {input_gradient, of_fc1.weight, of_fc1.bias, of_fc2.weight, of_fc2.bias, at::Tensor()};
  }
};

}  // namespace

at::Tensor fused_feed_forward(const at::Tensor& x, const FeedForwardParameters& parameters,
                              const DropoutMask& activation) {
  const at::Tensor none = at::empty({0}, at::kFloat);
  const bool has_bias = parameters.fc1_bias.defined();
  return FeedForwardFunction::apply(x, parameters.fc1_weight, has_bias ? parameters.fc1_bias : none,
                                    parameters.fc2_weight, has_bias ? parameters.fc2_bias : none,
                                    &activation);
}

}  // namespace megin::net
