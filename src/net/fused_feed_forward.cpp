#include "net/fused_feed_forward.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "net/feed_forward_kernel.h"
#include "net/products.h"

namespace megin::net {
namespace {

// [rows, blocks]; empty: the activations are taken as they are.
BlockFactors factors_of(const at::Tensor& factors, const RowPart& part) {
  if (factors.numel() == 0) return {};
  const int64_t count = factors.size(1);
  return {.data = factors.data_ptr<float>() + part.first * count, .count = count};
}

// An empty bias is none, and so are empty factors: functions take no undefined tensors.
struct FeedForwardFunction : torch::autograd::Function<FeedForwardFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& block_factors, const at::Tensor& fc1_weight,
                            const at::Tensor& fc1_bias, const at::Tensor& fc2_weight,
                            const at::Tensor& fc2_bias, const DropoutMask* mask) {
    const at::Tensor input = x.contiguous(), factors = block_factors.contiguous();
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
      if (factors.numel() > 0) scale_blocks(to_inner.data, part.rows, width, factors_of(factors, part));
      matrix::multiply(fc2, values_of(fc2_bias), to_inner, mutable_rows(output, part));
    });
    context->save_for_backward({input, factors, inner, fc1_weight, fc2_weight});
    context->saved_data["scale"] = static_cast<double>(dropout_scale(*mask));
    context->saved_data["has_fc1_bias"] = fc1_bias.numel() > 0;
    context->saved_data["has_fc2_bias"] = fc2_bias.numel() > 0;
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &factors = saved[1], &inner = saved[2], &fc1_weight = saved[3],
                     &fc2_weight = saved[4];
    const at::Tensor gradient = upstream[0].contiguous();
    const auto scale = static_cast<float>(context->saved_data["scale"].toDouble());
    const int64_t rows = input.size(0), width = inner.size(1);
    const at::Tensor input_gradient = at::empty_like(input), inner_gradient = at::empty_like(inner),
                     factor_gradient = at::empty_like(factors);
    const matrix::PackedMatrix fc1 = packed(fc1_weight, matrix::Layout::kInputsByOutputs),
                               fc2 = packed(fc2_weight, matrix::Layout::kInputsByOutputs);
    for_row_parts(rows, [&](const RowPart& part) {
      const matrix::Rows to_inner = mutable_rows(inner_gradient, part);
      matrix::multiply(fc2, {}, const_rows(gradient, part), to_inner);
      const float* const activated = const_rows(inner, part).data;
      if (factors.numel() > 0) {
        scale_blocks_backward(to_inner.data, activated, part.rows, width, scale, factors_of(factors, part),
                              factor_gradient.data_ptr<float>() + part.first * factors.size(1));
      } else {
        activate_rows_backward(to_inner.data, activated, part.rows * width, scale);
      }
      matrix::multiply(fc1, {}, to_inner, mutable_rows(input_gradient, part));
    });
    LinearGradients of_fc1 = linear_gradients(inner_gradient, input),
                    of_fc2 = linear_gradients(gradient, inner);
    if (!context->saved_data["has_fc1_bias"].toBool()) of_fc1.bias = at::Tensor();
    if (!context->saved_data["has_fc2_bias"].toBool()) of_fc2.bias = at::Tensor();
    return {input_gradient, factor_gradient, of_fc1.weight, of_fc1.bias,
            of_fc2.weight,  of_fc2.bias,     at::Tensor()};
  }
};

}  // namespace

at::Tensor fused_feed_forward(const at::Tensor& x, const FeedForwardParameters& parameters,
                              const DropoutMask& activation) {
  return fused_scaled_feed_forward(x, at::empty({0}, at::kFloat), parameters, activation);
}

at::Tensor fused_scaled_feed_forward(const at::Tensor& x, const at::Tensor& factors,
                                     const FeedForwardParameters& parameters, const DropoutMask& activation) {
  const at::Tensor none = at::empty({0}, at::kFloat);
  const auto bias = [&](const at::Tensor& of) { return of.defined() ? of : none; };
  return FeedForwardFunction::apply(x, factors, parameters.fc1_weight, bias(parameters.fc1_bias),
                                    parameters.fc2_weight, bias(parameters.fc2_bias), &activation);
}

}  // namespace megin::net
