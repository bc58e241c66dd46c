#include "net/linear.h"

#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include "net/row_parts.h"

namespace megin::net {
namespace {

struct LinearFunction : torch::autograd::Function<LinearFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& weight, const at::Tensor& bias) {
    const at::Tensor input = x.contiguous();
    const at::Tensor output = at::empty({input.size(0), weight.size(0)}, at::kFloat);
    for_row_parts(input.size(0), [&](const RowPart& part) {
      at::Tensor to = rows_of(output, part);
      at::addmm_out(to, bias, rows_of(input, part), weight.t());
    });
    context->save_for_backward({input, weight});
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &weight = saved[1];
    const at::Tensor gradient = upstream[0].contiguous();
    const int64_t rows = input.size(0), parts = row_part_count(rows);
    const at::Tensor input_gradient = at::empty_like(input);
    const at::Tensor weight_parts = at::empty({parts, weight.size(0), weight.size(1)}, at::kFloat);
    const at::Tensor bias_parts = at::empty({parts, weight.size(0)}, at::kFloat);
    for_row_parts(rows, [&](const RowPart& part) {
      const at::Tensor from = rows_of(gradient, part);
      at::Tensor to_input = rows_of(input_gradient, part);
      at::Tensor to_weight = weight_parts[part.number], to_bias = bias_parts[part.number];
      at::mm_out(to_input, from, weight);
      at::mm_out(to_weight, from.t(), rows_of(input, part));
      at::sum_out(to_bias, from, 0);
    });
    return {input_gradient, sum_of_parts(weight_parts), sum_of_parts(bias_parts)};
  }
};

}  // namespace

at::Tensor linear(const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias,
                  Operations operations) {
  if (operations == Operations::kPlain || !x.is_cpu()) return at::linear(x, weight, bias);
  return LinearFunction::apply(x, weight, bias);
}

}  // namespace megin::net
