#include "expert/grouping.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>

#include "net/clones.h"
#include "net/dot.h"
#include "net/kept_value.h"

namespace megin::expert {
namespace {

constexpr int64_t kGrain = 64;  // rows worth a thread

MEGIN_CLONES void add_scaled(const float* from, float factor, float* to, int64_t size) {
  for (int64_t i = 0; i < size; ++i) to[i] += factor * from[i];
}

// to[row] = sum over the row's choices of gate * from[place].
void sum_choices(const Grouping& grouping, const at::Tensor& from, const float* gates, const at::Tensor& to) {
  const int64_t width = from.size(1), k = grouping.choices;
  const float* const source = from.data_ptr<float>();
  float* const target = to.data_ptr<float>();
  at::parallel_for(0, to.size(0), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      std::fill_n(target + row * width, width, 0.0f);
      for (int64_t choice = row * k; choice < (row + 1) * k; ++choice) {
        const int64_t place = grouping.place[static_cast<size_t>(choice)];
        if (place < 0) continue;
        add_scaled(source + place * width, gates == nullptr ? 1.0f : gates[choice], target + row * width,
                   width);
      }
    }
  });
}

struct GatherFunction : torch::autograd::Function<GatherFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& x,
                            std::shared_ptr<const Grouping> grouping) {
    const at::Tensor input = x.contiguous();
    const int64_t width = input.size(1), places = static_cast<int64_t>(grouping->rows.size());
    const at::Tensor output = at::empty({places, width}, at::kFloat);
    const float* const from = input.data_ptr<float>();
    float* const to = output.data_ptr<float>();
    at::parallel_for(0, places, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t place = begin; place < end; ++place) {
        std::copy_n(from + grouping->rows[static_cast<size_t>(place)] * width, width, to + place * width);
      }
    });
    context->saved_data["rows"] = input.size(0);
    context->saved_data["grouping"] = net::keep(std::move(grouping));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const at::Tensor gradient = upstream[0].contiguous();
    const at::Tensor input = at::empty({context->saved_data["rows"].toInt(), gradient.size(1)}, at::kFloat);
    sum_choices(net::kept<Grouping>(context->saved_data["grouping"]), gradient, nullptr, input);
    return {input, at::Tensor()};
  }
};

struct CombineFunction : torch::autograd::Function<CombineFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& y,
                            const c10::optional<at::Tensor>& gates,
                            std::shared_ptr<const Grouping> grouping) {
    const at::Tensor input = y.contiguous();
    const at::Tensor factors = gates ? gates->contiguous() : at::Tensor();
    const auto rows = static_cast<int64_t>(grouping->place.size()) / grouping->choices;
    const at::Tensor output = at::empty({rows, input.size(1)}, at::kFloat);
    sum_choices(*grouping, input, factors.defined() ? factors.data_ptr<float>() : nullptr, output);
    context->save_for_backward({input, factors});
    context->saved_data["grouping"] = net::keep(std::move(grouping));
    return output;
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor &input = saved[0], &gates = saved[1];
    const Grouping& grouping = net::kept<Grouping>(context->saved_data["grouping"]);
    const at::Tensor gradient = upstream[0].contiguous();
    const int64_t width = input.size(1), k = grouping.choices;
    const at::Tensor input_gradient = at::empty_like(input);
    const at::Tensor gate_gradient = gates.defined() ? at::zeros_like(gates) : at::Tensor();
    at::parallel_for(0, gradient.size(0) * k, kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t choice = begin; choice < end; ++choice) {
        const int64_t place = grouping.place[static_cast<size_t>(choice)];
        if (place < 0) continue;
        const float* const from = gradient.data_ptr<float>() + choice / k * width;
        float* const to = input_gradient.data_ptr<float>() + place * width;
        if (!gates.defined()) {
          std::copy_n(from, width, to);
          continue;
        }
        std::fill_n(to, width, 0.0f);
        add_scaled(from, gates.data_ptr<float>()[choice], to, width);
        gate_gradient.data_ptr<float>()[choice] =
            net::dot(from, input.data_ptr<float>() + place * width, width);
      }
    });
    return {input_gradient, gate_gradient, at::Tensor()};
  }
};

}  // namespace

std::shared_ptr<const Grouping> group_by_expert(const at::Tensor& experts, int64_t count) {
  auto grouping = std::make_shared<Grouping>();
  grouping->choices = experts.size(1);
  const int64_t* const expert = experts.data_ptr<int64_t>();
  const int64_t all = experts.numel();
  grouping->ends.assign(static_cast<size_t>(count) + 1, 0);
  for (int64_t i = 0; i < all; ++i) {
    if (expert[i] >= 0) ++grouping->ends[static_cast<size_t>(expert[i]) + 1];
  }
  for (size_t e = 0; e < static_cast<size_t>(count); ++e) grouping->ends[e + 1] += grouping->ends[e];
  std::vector<int64_t> next(grouping->ends.begin(), grouping->ends.end() - 1);
  grouping->place.assign(static_cast<size_t>(all), -1);
  grouping->rows.resize(static_cast<size_t>(grouping->ends.back()));
  for (int64_t i = 0; i < all; ++i) {
    if (expert[i] < 0) continue;
    const int64_t place = next[static_cast<size_t>(expert[i])]++;
    grouping->place[static_cast<size_t>(i)] = place;
    grouping->rows[static_cast<size_t>(place)] = i / grouping->choices;
  }
  return grouping;
}

at::Tensor gather(const at::Tensor& x, const std::shared_ptr<const Grouping>& grouping) {
  return GatherFunction::apply(x, grouping);
}

at::Tensor combine(const at::Tensor& y, const at::Tensor& gates,
                   const std::shared_ptr<const Grouping>& grouping) {
  return CombineFunction::apply(y, gates.defined() ? c10::make_optional(gates) : c10::nullopt, grouping);
}

}  // namespace megin::expert
