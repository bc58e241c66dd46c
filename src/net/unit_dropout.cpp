#include "net/unit_dropout.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/random.h"

namespace megin::net {
namespace {

constexpr int64_t kPart = 1 << 12;    // elements that are summed up together, at any number of threads
constexpr double kTemperature = 0.1;  // of the relaxation, as in Gal et al.'s code
constexpr double kLeast = 1e-7;       // of u and of 1 - u, the same

double sigmoid(double x) {
  return 1 / (1 + std::exp(-x));
}

// z of element `index` of a pass.
double kept_share(double rate_logit, uint64_t key, int64_t index) {
  const double u = std::clamp(draw_uniform(key, static_cast<uint64_t>(index)), kLeast, 1 - kLeast);
  return sigmoid(-(rate_logit + std::log(u / (1 - u))) / kTemperature);
}

// Calls use(part, first, last, first element of the pass, key) for all parts of the passes' elements, on all
// threads.
template <typename Use>
void for_each_part(int64_t elements, int64_t passes, const std::array<uint64_t, 2>& keys, Use&& use) {
  const int64_t of_pass = elements / passes, parts = (of_pass + kPart - 1) / kPart;
  at::parallel_for(0, passes * parts, 1, [&](int64_t begin, int64_t end) {
    for (int64_t part = begin; part < end; ++part) {
      const int64_t pass = part / parts, from = part % parts * kPart;
      use(part, from, std::min(from + kPart, of_pass), pass * of_pass, keys[static_cast<size_t>(pass)]);
    }
  });
}

int64_t parts_of(int64_t elements, int64_t passes) {
  return passes * ((elements / passes + kPart - 1) / kPart);
}

struct ConcreteFunction : torch::autograd::Function<ConcreteFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& rate_logit, int64_t passes, int64_t key0, int64_t key1) {
    const at::Tensor x = input.contiguous();
    context->save_for_backward({x, rate_logit});
    context->saved_data["passes"] = passes;
    context->saved_data["key0"] = key0;
    context->saved_data["key1"] = key1;
    const double logit = rate_logit.item<float>(), kept = sigmoid(-logit);
    at::Tensor y = at::empty_like(x);
    const float* const from = x.data_ptr<float>();
    float* const to = y.data_ptr<float>();
    for_each_part(x.numel(), passes, keys_of(*context),
                  [&](int64_t, int64_t first, int64_t last, int64_t pass, uint64_t key) {
                    for (int64_t i = first; i < last; ++i) {
                      to[pass + i] = static_cast<float>(from[pass + i] * kept_share(logit, key, i) / kept);
                    }
                  });
    return y;
  }

  // With s = 1 / (1 - p): ds / dlogit = p s, dz / dlogit = -z (1 - z) / temperature.
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const at::Tensor& x = saved[0];
    const at::Tensor gradient = gradients[0].contiguous();
    const int64_t passes = context->saved_data["passes"].toInt();
    const double logit = saved[1].item<float>(), kept = sigmoid(-logit), dropped = sigmoid(logit);
    at::Tensor of_x = at::empty_like(x);
    std::vector<double> sums(static_cast<size_t>(parts_of(x.numel(), passes)));
    const float* const from = x.data_ptr<float>();
    const float* const by = gradient.data_ptr<float>();
    float* const to = of_x.data_ptr<float>();
    for_each_part(x.numel(), passes, keys_of(*context),
                  [&](int64_t part, int64_t first, int64_t last, int64_t pass, uint64_t key) {
                    double sum = 0;
                    for (int64_t i = first; i < last; ++i) {
                      const double z = kept_share(logit, key, i), g = by[pass + i];
                      to[pass + i] = static_cast<float>(g * z / kept);
                      sum += g * from[pass + i] * (dropped * z - z * (1 - z) / kTemperature) / kept;
                    }
                    sums[static_cast<size_t>(part)] = sum;
                  });
    double sum = 0;
    for (const double of_part : sums) sum += of_part;
    return {of_x, at::full_like(saved[1], sum), at::Tensor(), at::Tensor(), at::Tensor()};
  }

  static std::array<uint64_t, 2> keys_of(torch::autograd::AutogradContext& context) {
    return {static_cast<uint64_t>(context.saved_data["key0"].toInt()),
            static_cast<uint64_t>(context.saved_data["key1"].toInt())};
  }
};

// Sums of squares are taken in one order, whatever the number of threads.
struct RegulariserFunction : torch::autograd::Function<RegulariserFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& fc2_weight,
                            const at::Tensor& rate_logit, double weight, double entropy) {
    const at::Tensor matrix = fc2_weight.contiguous();
    double squares = 0;
    for (int64_t i = 0; i < matrix.numel(); ++i) {
      squares += static_cast<double>(matrix.data_ptr<float>()[i]) * matrix.data_ptr<float>()[i];
    }
    context->save_for_backward({matrix, rate_logit});
    context->saved_data["weight"] = weight;
    context->saved_data["entropy"] = entropy;
    context->saved_data["squares"] = squares;
    const double logit = rate_logit.item<float>(), kept = sigmoid(-logit), dropped = sigmoid(logit);
    const double of_rate = -dropped * std::log(dropped) - kept * std::log(kept);
    const auto columns = static_cast<double>(matrix.size(1));
    return at::scalar_tensor(weight * squares / kept - entropy * columns * of_rate, matrix.options());
  }

  // dH / dlogit = -logit p (1 - p).
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& gradients) {
    const auto saved = context->get_saved_variables();
    const double logit = saved[1].item<float>(), kept = sigmoid(-logit), dropped = sigmoid(logit);
    const double weight = context->saved_data["weight"].toDouble();
    const double entropy = context->saved_data["entropy"].toDouble();
    const double squares = context->saved_data["squares"].toDouble();
    const auto columns = static_cast<double>(saved[0].size(1));
    const double of_rate = weight * squares * dropped / kept + entropy * columns * logit * dropped * kept;
    return {gradients[0] * saved[0] * (2 * weight / kept), (gradients[0] * of_rate).expand_as(saved[1]),
            at::Tensor(), at::Tensor()};
  }
};

}  // namespace

at::Tensor drop_groups(const at::Tensor& x, int64_t groups, const DropoutMask& mask) {
  const int64_t columns = x.size(1);
  at::Tensor kept = at::ones({mask.passes, 1, columns}, at::kFloat);
  for (int64_t pass = 0; pass < mask.passes; ++pass) {
    for (int64_t j = 0; j < columns; ++j) {
      const auto group = static_cast<uint64_t>(j % groups);
      if (draw_uniform(mask.keys[static_cast<size_t>(pass)], group) >= mask.probability) continue;
      kept.data_ptr<float>()[pass * columns + j] = 0.0f;
    }
  }
  return (x.view({mask.passes, -1, columns}) * kept).view(x.sizes());
}

at::Tensor concrete_dropout(const at::Tensor& x, const at::Tensor& rate_logit, const DropoutMask& mask) {
  return ConcreteFunction::apply(x, rate_logit, mask.passes, static_cast<int64_t>(mask.keys[0]),
                                 static_cast<int64_t>(mask.keys[1]));
}

at::Tensor concrete_regulariser(const at::Tensor& fc2_weight, const at::Tensor& rate_logit,
                                const ConcreteWeights& weights) {
  return RegulariserFunction::apply(fc2_weight, rate_logit, weights.weight, weights.entropy);
}

}  // namespace megin::net
