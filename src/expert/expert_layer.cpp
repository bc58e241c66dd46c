#include "expert/expert_layer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>

namespace megin::expert {

ExpertLayer::ExpertLayer(const net::ParameterMemory& parameters, const std::string& prefix,
                         const config::ModelConfig& config) {
  experts_.reserve(static_cast<size_t>(config.experts.count));
  for (int64_t e = 0; e < config.experts.count; ++e) experts_.emplace_back(parameters, prefix, config, e);
}

at::Tensor ExpertLayer::forward(const at::Tensor& x, const routing::Route& route,
                                const net::DropoutMask& activation, net::Operations operations) const {
  if (route.kind != routing::Route::Kind::kUniform && activation.probability > 0) {
    throw std::logic_error("activation dropout is defined for uniform routes only");
  }
  switch (route.kind) {
    case routing::Route::Kind::kUniform:
      return forward_uniform(x, route, activation, operations);
    case routing::Route::Kind::kPerToken:
      return forward_grouped(x, route, operations);
    case routing::Route::Kind::kAll:
      return forward_all(x, route, operations);
  }
  __builtin_unreachable();
}

at::Tensor ExpertLayer::forward_uniform(const at::Tensor& x, const routing::Route& route,
                                        const net::DropoutMask& mask, net::Operations operations) const {
  const auto& chosen = route.uniform;
  const bool one_expert =
      std::all_of(chosen.begin(), chosen.end(), [&](int64_t expert) { return expert == chosen.front(); });
  if (one_expert) return experts_.at(chosen.front()).forward(x, mask, operations);
  const auto parts = x.chunk(static_cast<int64_t>(chosen.size()), 0);
  std::vector<at::Tensor> outputs;
  for (size_t pass = 0; pass < chosen.size(); ++pass) {
    outputs.push_back(
        experts_.at(chosen[pass])
            .forward(parts[pass], net::only_pass(mask, static_cast<int64_t>(pass)), operations));
  }
  return at::cat(outputs, 0);
}

at::Tensor ExpertLayer::forward_grouped(const at::Tensor& x, const routing::Route& route,
                                        net::Operations operations) const {
  const int64_t choices = route.experts.size(1);
  const int64_t* const experts = route.experts.data_ptr<int64_t>();
  std::vector<std::vector<int64_t>> slots(experts_.size());  // slot = row * choices + choice
  for (int64_t slot = 0; slot < route.experts.numel(); ++slot) slots.at(experts[slot]).push_back(slot);
  at::Tensor output = at::zeros_like(x);
  for (size_t e = 0; e < experts_.size(); ++e) {
    if (slots[e].empty()) continue;
    const at::Tensor slot = at::tensor(slots[e], at::kLong);
    const at::Tensor row = at::div(slot, choices, "floor");
    at::Tensor part = experts_[e].forward(x.index_select(0, row), {}, operations);
    if (route.gates.defined()) part = part * route.gates.reshape({-1, 1}).index_select(0, slot);
    output = output.index_add(0, row, part);
  }
  return output;
}

at::Tensor ExpertLayer::forward_all(const at::Tensor& x, const routing::Route& route,
                                    net::Operations operations) const {
  at::Tensor sum = at::zeros_like(x);
  for (size_t e = 0; e < experts_.size(); ++e) {
    const at::Tensor part = experts_[e].forward(x, {}, operations);
    sum = route.gates.defined() ? sum + part * route.gates.narrow(1, static_cast<int64_t>(e), 1) : sum + part;
  }
  return route.gates.defined() ? sum : sum / static_cast<double>(experts_.size());
}

}  // namespace megin::expert
