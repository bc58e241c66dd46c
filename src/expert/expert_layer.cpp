#include "expert/expert_layer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <stdexcept>

#include "base/random.h"
#include "net/dropout.h"
#include "net/fused_feed_forward.h"
#include "net/linear.h"

namespace megin::expert {

ExpertLayer::ExpertLayer(const net::ParameterMemory& parameters, const std::string& prefix,
                         const config::ModelConfig& config)
    : activation_(config.activation), biases_(config.biases) {
  // Lists of tensors hold no undefined ones.
  const auto bias = [&](const std::string& name, int64_t expert) {
    return biases_ ? parameters.get(prefix + name, expert) : at::empty({0}, at::kFloat);
  };
  experts_.reserve(static_cast<size_t>(config.experts.count));
  for (int64_t e = 0; e < config.experts.count; ++e) {
    experts_.emplace_back(parameters, prefix, config, e);
    parameters_.fc1_weight.push_back(parameters.get(prefix + "fc1.weight", e));
    parameters_.fc1_bias.push_back(bias("fc1.bias", e));
    parameters_.fc2_weight.push_back(parameters.get(prefix + "fc2.weight", e));
    parameters_.fc2_bias.push_back(bias("fc2.bias", e));
    if (!config::is_gated(activation_)) continue;
    gate_weight_.push_back(parameters.get(prefix + "gate.weight", e));
    gate_bias_.push_back(bias("gate.bias", e));
  }
  if (config.experts.shared) shared_.emplace(parameters, prefix + "shared.", config);
}

at::Tensor ExpertLayer::forward(const at::Tensor& x, const routing::Route& route,
                                const net::DropoutMask& activation, net::Operations operations) const {
  const at::Tensor routed = forward_routed(x, route, activation, operations);
  if (!shared_) return routed;
  net::DropoutMask of_shared = activation;
  for (uint64_t& key : of_shared.keys) key = mix64(~key);
  return routed + shared_->forward(x, of_shared, operations);
}

at::Tensor ExpertLayer::forward_routed(const at::Tensor& x, const routing::Route& route,
                                       const net::DropoutMask& activation, net::Operations operations) const {
  switch (route.kind) {
    case routing::Route::Kind::kUniform:
      return forward_uniform(x, route, activation, operations);
    case routing::Route::Kind::kPerToken:
      return forward_grouped(x, route, activation, operations);
    case routing::Route::Kind::kAll:
      if (route.gates.defined()) return forward_scaled(x, route.gates, activation, operations);
      if (activation.probability > 0) {
        throw std::logic_error(
            "no training takes the mean of all experts, so no activation is dropped there");
      }
      return forward_mean(x, operations);
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
                                        const net::DropoutMask& mask, net::Operations operations) const {
  const auto grouping = group_by_expert(route.experts, static_cast<int64_t>(experts_.size()));
  if (grouping->rows.empty()) return at::zeros_like(x);
  const at::Tensor sorted = gather(x, grouping);
  const net::DropoutMask of_places{.probability = mask.probability, .passes = 1, .keys = {mask.keys[0], 0}};
  if (runs_fused(x, operations)) {
    return combine(grouped_feed_forward(sorted, grouping, parameters_, of_places), route.gates, grouping);
  }
  std::vector<int64_t> sizes;
  for (size_t e = 0; e < experts_.size(); ++e) sizes.push_back(grouping->ends[e + 1] - grouping->ends[e]);
  const auto parts = sorted.split_with_sizes(sizes, 0);
  std::vector<at::Tensor> outputs;
  for (size_t e = 0; e < experts_.size(); ++e) {
    if (sizes[e] == 0) continue;
    net::DropoutMask of_expert = of_places;
    of_expert.keys[0] = mix64(of_expert.keys[0] ^ e);
    outputs.push_back(experts_[e].forward(parts[e], of_expert, operations));
  }
  return combine(at::cat(outputs), route.gates, grouping);
}

at::Tensor ExpertLayer::forward_mean(const at::Tensor& x, net::Operations operations) const {
  at::Tensor sum = at::zeros_like(x);
  for (const net::FeedForward& expert : experts_) sum = sum + expert.forward(x, {}, operations);
  return sum / static_cast<double>(experts_.size());
}

// sum_e g_e (W2_e h_e + b2_e) with h_e = act(W1_e x + b1_e): [W2_1 ... W2_N] (g_1 h_1, ..., g_N h_N) + sum_e
// g_e b2_e (smoe_dropout spec 4.21).
at::Tensor ExpertLayer::forward_scaled(const at::Tensor& x, const at::Tensor& gates,
                                       const net::DropoutMask& mask, net::Operations operations) const {
  const at::Tensor none;
  const at::Tensor fc1_weight = at::cat(parameters_.fc1_weight),
                   fc1_bias = biases_ ? at::cat(parameters_.fc1_bias) : none,
                   fc2_weight = at::cat(parameters_.fc2_weight, 1);
  at::Tensor products;
  if (runs_fused(x, operations)) {
    products = net::fused_scaled_feed_forward(x, gates, {fc1_weight, fc1_bias, fc2_weight, none}, mask);
  } else {
    at::Tensor hidden = net::linear(x, fc1_weight, fc1_bias, operations);
    if (config::is_gated(activation_)) {
      const at::Tensor gate =
          net::linear(x, at::cat(gate_weight_), biases_ ? at::cat(gate_bias_) : none, operations);
      hidden = net::activate(gate, activation_) * hidden;
    } else {
      hidden = net::activate(hidden, activation_);
    }
    const auto count = static_cast<int64_t>(experts_.size());
    hidden = net::dropout(hidden, mask).view({x.size(0), count, -1}) * gates.unsqueeze(-1);
    products = net::linear(hidden.view({x.size(0), -1}), fc2_weight, none, operations);
  }
  if (!biases_) return products;
  return products + at::matmul(gates, at::stack(parameters_.fc2_bias));
}

bool ExpertLayer::runs_fused(const at::Tensor& x, net::Operations operations) const {
  return activation_ == config::Activation::kRelu && operations.fused(config::FusedPart::kFeedForward) &&
         x.is_cpu();
}

}  // namespace megin::expert
