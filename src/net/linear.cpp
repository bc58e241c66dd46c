#include "net/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "net/products.h"

namespace megin::net {
namespace {

// An empty bias is none: functions take no undefined tensors.
struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor input = x.contiguous();
    const at::Tensor output = at::empty({input.size(0), weight.size(0)}, at::kFloat);
    const matrix::PackedMatrix matrix = packed(weight, matrix::Layout::kOutputsByInputs);
    for_row_parts(input.size(0), [&](const RowPart& part) {
      matrix::multiply(matrix, values_of(bias), const_rows(input, part), mutable_rows(output, part));
    });
    context->save_for_backward({input, weight});
    context->saved_data["has_bias"] = bias.numel() > 0;
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const at::Tensor gradient = upstream[0].contiguous();
    const at::Tensor input_gradient = at::empty_like(input);
    const matrix::PackedMatrix matrix = packed(weight, matrix::Layout::kInputsByOutputs);
    for_row_parts(input.size(0), [&](const RowPart& part) {
      matrix::multiply(matrix, {}, const_rows(gradient, part), mutable_rows(input_gradient, part));
    });
    LinearGradients of = linear_gradients(gradient, input);
    const bool has_bias = context->saved_data["has_bias"].toBool();
    return {input_gradient, of.weight, has_bias ? of.bias : at::Tensor()};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Operations operations) {
  if (!operations.fused(config::FusedPart::kProducts) || !x.is_cpu()) return at::linear(x, weight, bias);
  return LinearFunction::apply(x, weight, bias.defined() ? bias : at::empty({0}, at::kFloat));
}

}  // namespace megin::net
