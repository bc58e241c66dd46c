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

// The dropout of [rows, width], row by row: rows of a pass are numbered from that pass's first.
class RowDropout {
 public:
  RowDropout(const DropoutMask& mask, int64_t rows, int64_t width)
      : mask_(mask), rows_of_pass_(rows / mask.passes), width_(width) {}

  // to = dropout(h), of row number `row`.
  void drop(int64_t row, const float* h, float* to) const {
    DropoutSpan span =
        dropout_span_for(mask_.probability, mask_.keys[static_cast<size_t>(row / rows_of_pass_)]);
    span.first = row % rows_of_pass_ * width_;
    dropout_span(h, to, width_, span);
  }

  // to = x + dropout(h).
  void add(int64_t row, const float* x, const float* h, float* to) const {
    if (mask_.probability > 0) {
      drop(row, h, to);
    } else {
      std::copy_n(h, width_, to);
    }
    add_row(to, x, width_);
  }

 private:
  const DropoutMask& mask_;
  int64_t rows_of_pass_;
  int64_t width_;
};

// The gradient of h, from that of x + dropout(h).
at::Tensor dropped(const at::Tensor& gradient, const DropoutMask& mask) {
  if (mask.probability <= 0) return gradient;
  const int64_t rows = gradient.size(0), width = gradient.size(1);
  const RowDropout row_dropout(mask, rows, width);
  at::Tensor output = at::empty_like(gradient);
  const float* const in = gradient.data_ptr<float>();
  float* const out = output.data_ptr<float>();
  for_blocks(rows, [&](int64_t first, int64_t last, int64_t) {
    for (int64_t row = first; row < last; ++row) row_dropout.drop(row, in + row * width, out + row * width);
  });
  return output;
}

void save_mask(torch::autograd::AutogradContext& context, const DropoutMask& mask) {
  context.saved_data["probability"] = mask.probability;
  context.saved_data["passes"] = mask.passes;
  context.saved_data["key0"] = static_cast<int64_t>(mask.keys[0]);
  context.saved_data["key1"] = static_cast<int64_t>(mask.keys[1]);
}

DropoutMask saved_mask(torch::autograd::AutogradContext& context) {
  return {.probability = context.saved_data["probability"].toDouble(),
          .passes = context.saved_data["passes"].toInt(),
          .keys = {static_cast<uint64_t>(context.saved_data["key0"].toInt()),
                   static_cast<uint64_t>(context.saved_data["key1"].toInt())}};
}

struct NormGradients {
  at::Tensor sum;  // of what was normalised
  at::Tensor weight, bias;
};

// sum: [rows, d], what was normalised; moments: [rows, 2].
NormGradients norm_gradients(const at::Tensor& gradient, const at::Tensor& sum, const at::Tensor& moments,
                             const at::Tensor& weight) {
  const int64_t rows = sum.size(0), width = sum.size(1);
  at::Tensor sum_gradient = at::empty_like(sum);
  at::Tensor partial = at::zeros({(rows + kBlock - 1) / kBlock, 2, width}, at::kFloat);
  const float *in = sum.data_ptr<float>(), *upstream = gradient.data_ptr<float>();
  float* const out = sum_gradient.data_ptr<float>();
  for_blocks(rows, [&](int64_t first, int64_t last, int64_t block) {
    float* const sums = partial.data_ptr<float>() + block * 2 * width;
    for (int64_t row = first; row < last; ++row) {
      const int64_t at = row * width;
      normalise_row_backward({.sum = in + at,
                              .gradient = upstream + at,
                              .weight = weight.data_ptr<float>(),
                              .moments = moments.data_ptr<float>() + 2 * row},
                             {.input = out + at, .weight = sums, .bias = sums + width}, width);
    }
  });
  const at::Tensor total = partial.sum(0);
  return {.sum = sum_gradient, .weight = total[0], .bias = total[1]};
}

NormRow norm_row(const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
  return {weight.data_ptr<float>(), bias.data_ptr<float>(), static_cast<float>(epsilon), weight.size(0)};
}

struct ResidualNormFunction : torch::autograd::Function<ResidualNormFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_given,
                            const at::Tensor& h_given, const at::Tensor& weight, const at::Tensor& bias,
                            const DropoutMask* mask, double epsilon) {
    const at::Tensor x = x_given.contiguous(), h = h_given.contiguous();
    const int64_t rows = x.size(0), width = x.size(1);
    at::Tensor output = at::empty_like(x), sums = at::empty_like(x),
               moments = at::empty({rows, 2}, at::kFloat);
    const NormRow norm = norm_row(weight, bias, epsilon);
    const RowDropout row_dropout(*mask, rows, width);
    const float *in = x.data_ptr<float>(), *add = h.data_ptr<float>();
    float *sum = sums.data_ptr<float>(), *out = output.data_ptr<float>();
    for_blocks(rows, [&](int64_t first, int64_t last, int64_t) {
      for (int64_t row = first; row < last; ++row) {
        const int64_t at = row * width;
        row_dropout.add(row, in + at, add + at, sum + at);
        normalise_row(sum + at, out + at, moments.data_ptr<float>() + 2 * row, norm);
      }
    });
    context->save_for_backward({sums, moments, weight});
    save_mask(*context, *mask);
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    NormGradients of = norm_gradients(upstream[0].contiguous(), saved[0], saved[1], saved[2]);
    const at::Tensor none;
    return {of.sum, dropped(of.sum, saved_mask(*context)), of.weight, of.bias, none, none};
  }
};

struct ResidualFunction : torch::autograd::Function<ResidualFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_given,
                            const at::Tensor& h_given, const DropoutMask* mask) {
    const at::Tensor x = x_given.contiguous(), h = h_given.contiguous();
    const int64_t rows = x.size(0), width = x.size(1);
    const RowDropout row_dropout(*mask, rows, width);
    at::Tensor output = at::empty_like(x);
    const float *in = x.data_ptr<float>(), *add = h.data_ptr<float>();
    float* const out = output.data_ptr<float>();
    for_blocks(rows, [&](int64_t first, int64_t last, int64_t) {
      for (int64_t row = first; row < last; ++row)
        row_dropout.add(row, in + row * width, add + row * width, out + row * width);
    });
    save_mask(*context, *mask);
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const at::Tensor gradient = upstream[0].contiguous();
    return {gradient, dropped(gradient, saved_mask(*context)), at::Tensor()};
  }
};

struct NormFunction : torch::autograd::Function<NormFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x_given,
                            const at::Tensor& weight, const at::Tensor& bias, double epsilon) {
    const at::Tensor x = x_given.contiguous();
    const int64_t rows = x.size(0), width = x.size(1);
    at::Tensor output = at::empty_like(x), moments = at::empty({rows, 2}, at::kFloat);
    const NormRow norm = norm_row(weight, bias, epsilon);
    const float* const in = x.data_ptr<float>();
    float *out = output.data_ptr<float>(), *to_moments = moments.data_ptr<float>();
    for_blocks(rows, [&](int64_t first, int64_t last, int64_t) {
      for (int64_t row = first; row < last; ++row)
        normalise_row(in + row * width, out + row * width, to_moments + 2 * row, norm);
    });
    context->save_for_backward({x, moments, weight});
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    NormGradients of = norm_gradients(upstream[0].contiguous(), saved[0], saved[1], saved[2]);
    return {of.sum, of.weight, of.bias, at::Tensor()};
  }
};

}  // namespace

at::Tensor fused_residual_norm(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                               const LayerNormParameters& norm) {
  return ResidualNormFunction::apply(x, h, norm.weight, norm.bias, &mask, norm.epsilon);
}

at::Tensor fused_residual(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask) {
  return ResidualFunction::apply(x, h, &mask);
}

at::Tensor fused_norm(const at::Tensor& x, const LayerNormParameters& norm) {
  return NormFunction::apply(x, norm.weight, norm.bias, norm.epsilon);
}

}  // namespace megin::net
