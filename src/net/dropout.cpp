#include "net/dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

namespace megin::net {
namespace {

constexpr int64_t kGrain = 1 << 14;

at::Tensor masked(const at::Tensor& x, const DropoutMask& mask) {
  const at::Tensor in = x.contiguous();
  at::Tensor out = at::empty_like(in);
  const int64_t part = in.numel() / mask.passes;
  for (int64_t pass = 0; pass < mask.passes; ++pass) {
    const float* from = in.data_ptr<float>() + pass * part;
    float* to = out.data_ptr<float>() + pass * part;
    const DropoutSpan whole = dropout_span_for(mask.probability, mask.keys[pass]);
    at::parallel_for(0, part, kGrain, [&](int64_t begin, int64_t end) {
      DropoutSpan span = whole;
      span.first = begin;
      dropout_span(from + begin, to + begin, end - begin, span);
    });
  }
  return out;
}

struct DropoutFunction : torch::autograd::Function<DropoutFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            double probability, int64_t passes, int64_t key0, int64_t key1) {
    context->saved_data["probability"] = probability;
    context->saved_data["passes"] = passes;
    context->saved_data["key0"] = key0;
    context->saved_data["key1"] = key1;
    return masked(x, mask_of(*context));
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    return {masked(gradients[0], mask_of(*context)), at::Tensor(), at::Tensor(), at::Tensor(), at::Tensor()};
  }

  static DropoutMask mask_of(torch::autograd::AutogradContext& context) {
    return {.probability = context.saved_data["probability"].toDouble(),
            .passes = context.saved_data["passes"].toInt(),
            .keys = {static_cast<uint64_t>(context.saved_data["key0"].toInt()),
                     static_cast<uint64_t>(context.saved_data["key1"].toInt())}};
  }
};

}  // namespace

at::Tensor dropout(const at::Tensor& x, const DropoutMask& mask) {
  if (mask.probability <= 0) return x;
  return DropoutFunction::apply(x, mask.probability, mask.passes, static_cast<int64_t>(mask.keys[0]),
                                static_cast<int64_t>(mask.keys[1]));
}

}  // namespace megin::net
