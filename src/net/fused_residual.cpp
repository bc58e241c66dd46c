#include "net/fused_residual.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <vector>

#include "net/dropout.h"
#include "net/residual_kernel.h"

namespace megin::net {
namespace {

constexpr int64_t kBlock = 64;  // rows of a partial sum

// Calls body(first row, last row, block) for each block, over all threads.
template <typename Body>
void for_blocks(int64_t rows, const Body& body) {
  const int64_t blocks = (rows + kBlock - 1) / kBlock;
  at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
    for (int64_t block = begin; block < end; ++block)
      body(block * kBlock, std::min(rows, (block + 1) * kBlock), block);
  });
}

// The dropout of one row: rows of a pass are numbered from that pass's first.
DropoutSpan span_of_row(const DropoutMask& mask, int64_t row, int64_t rows, int64_t width) {
  const int64_t rows_of_pass = rows / mask.passes;
  DropoutSpan span = dropout_span_for(mask.probability, mask.keys[static_cast<size_t>(row / rows_of_pass)]);
  span.first = row % rows_of_pass * width;
  return span;
}

struct Saved {
  at::Tensor sum;      // [rows, d]: x + dropout(h)
  at::Tensor moments;  // [rows, 2]: mean and reciprocal deviation
};

at::Tensor normalise(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                     const LayerNormParameters& norm, Saved& saved) {
  const int64_t rows = x.size(0), width = x.size(1);
  at::Tensor output = at::empty_like(x);
  saved.sum = at::empty_like(x);
  saved.moments = at::empty({rows, 2}, at::kFloat);
  const float *in = x.data_ptr<float>(), *add = h.data_ptr<float>();
  float *sum = saved.sum.data_ptr<float>(), *out = output.data_ptr<float>(),
        *moments = saved.moments.data_ptr<float>();
  const NormRow row_norm{norm.weight.data_ptr<float>(), norm.bias.data_ptr<float>(),
                         static_cast<float>(norm.epsilon), width};
  for_blocks(rows, [&](int64_t first, int64_t last, int64_t) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t at = row * width;
      if (mask.probability > 0) {
        dropout_span(add + at, sum + at, width, span_of_row(mask, row, rows, width));
        add_row(sum + at, in + at, width);
      } else {
        std::copy_n(add + at, width, sum + at);
        add_row(sum + at, in + at, width);
      }
      normalise_row(sum + at, out + at, moments + 2 * row, row_norm);
    }
  });
  return output;
}

struct ResidualFunction : torch::autograd::Function<ResidualFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            const at::Tensor& h, const at::Tensor& weight, const at::Tensor& bias,
                            const DropoutMask* mask, double epsilon) {
    Saved saved;
    const at::Tensor output =
        normalise(x.contiguous(), h.contiguous(), *mask, {weight, bias, epsilon}, saved);
    context->save_for_backward({saved.sum, saved.moments, weight});
    context->saved_data["probability"] = mask->probability;
    context->saved_data["passes"] = mask->passes;
    context->saved_data["key0"] = static_cast<int64_t>(mask->keys[0]);
    context->saved_data["key1"] = static_cast<int64_t>(mask->keys[1]);
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const DropoutMask mask{.probability = context->saved_data["probability"].toDouble(),
                           .passes = context->saved_data["passes"].toInt(),
                           .keys = {static_cast<uint64_t>(context->saved_data["key0"].toInt()),
                                    static_cast<uint64_t>(context->saved_data["key1"].toInt())}};
    const at::Tensor output_gradient = upstream[0].contiguous();
    const int64_t rows = saved[0].size(0), width = saved[0].size(1);
    at::Tensor x_gradient = at::empty_like(saved[0]), h_gradient = at::empty_like(saved[0]);
    at::Tensor partial = at::zeros({(rows + kBlock - 1) / kBlock, 2, width}, at::kFloat);
    const float *sum = saved[0].data_ptr<float>(), *moments = saved[1].data_ptr<float>();
    const float *weight = saved[2].data_ptr<float>(), *gradient = output_gradient.data_ptr<float>();
    float *to_x = x_gradient.data_ptr<float>(), *to_h = h_gradient.data_ptr<float>();
    for_blocks(rows, [&](int64_t first, int64_t last, int64_t block) {
      float* const sums = partial.data_ptr<float>() + block * 2 * width;
      for (int64_t row = first; row < last; ++row) {
        const int64_t at = row * width;
        normalise_row_backward(
            {.sum = sum + at, .gradient = gradient + at, .weight = weight, .moments = moments + 2 * row},
            {.input = to_x + at, .weight = sums, .bias = sums + width}, width);
        if (mask.probability > 0)
          dropout_span(to_x + at, to_h + at, width, span_of_row(mask, row, rows, width));
      }
    });
    const at::Tensor total = partial.sum(0);
    const at::Tensor none;
    return {x_gradient, mask.probability > 0 ? h_gradient : x_gradient, total[0], total[1], none, none};
  }
};

}  // namespace

at::Tensor fused_residual_norm(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                               const LayerNormParameters& norm) {
  return ResidualFunction::apply(x, h, norm.weight, norm.bias, &mask, norm.epsilon);
}

}  // namespace megin::net
