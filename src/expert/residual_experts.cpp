#include "expert/residual_experts.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

#include "base/random.h"
#include "expert/grouping.h"

namespace megin::expert {
namespace {

// A mask of its own for everything that is numbered by `number`.
net::DropoutMask numbered(net::DropoutMask mask, size_t number) {
  for (uint64_t& key : mask.keys) key = mix64(key ^ (number + 1));
  return mask;
}

ResidualDropout only_pass(const ResidualDropout& dropout, int64_t pass) {
  return {net::only_pass(dropout.output, pass), net::only_pass(dropout.activation, pass)};
}

}  // namespace

ResidualExperts::ResidualExperts(const net::ParameterMemory& parameters, const std::string& prefix,
                                 const config::ModelConfig& config)
    : experts_(static_cast<size_t>(config.experts.count)) {
  const auto fill = [&](Expert& expert, const std::string& start, int64_t number) {
    for (int64_t s = 0; s < config.experts.sublayers; ++s) {
      const std::string sublayer = fmt::format("{}{}.", start, s);
      expert.push_back({net::Norm(parameters, sublayer + "norm.", config, number),
                        net::FeedForward(parameters, sublayer, config, number)});
    }
  };
  for (size_t e = 0; e < experts_.size(); ++e) fill(experts_[e], prefix, static_cast<int64_t>(e));
  if (config.experts.shared) fill(shared_, prefix + "shared.", 0);
}

at::Tensor ResidualExperts::run(const Expert& expert, const at::Tensor& input, const ResidualDropout& dropout,
                                net::Operations operations) const {
  at::Tensor x = input;
  for (size_t s = 0; s < expert.size(); ++s) {
    const at::Tensor h = expert[s].feed_forward.forward(expert[s].norm.forward(x, operations),
                                                        numbered(dropout.activation, s), operations);
    x = net::residual_sum(x, h, numbered(dropout.output, s), operations);
  }
  return x;
}

at::Tensor ResidualExperts::forward_one(const at::Tensor& x, int64_t expert, const ResidualDropout& dropout,
                                        net::Operations operations) const {
  return run(experts_.at(static_cast<size_t>(expert)), x, dropout, operations);
}

at::Tensor ResidualExperts::forward(const at::Tensor& x, const routing::Route& route,
                                    const ResidualDropout& dropout, net::Operations operations) const {
  const at::Tensor routed = forward_routed(x, route, dropout, operations);
  if (shared_.empty()) return routed;
  // Masks beyond those of sublayers and of grouped experts.
  const size_t number = shared_.size() + experts_.size();
  const ResidualDropout of_shared{numbered(dropout.output, number), numbered(dropout.activation, number)};
  return routed + run(shared_, x, of_shared, operations) - x;
}

at::Tensor ResidualExperts::forward_routed(const at::Tensor& x, const routing::Route& route,
                                           const ResidualDropout& dropout, net::Operations operations) const {
  switch (route.kind) {
    case routing::Route::Kind::kUniform:
      return forward_uniform(x, route, dropout, operations);
    case routing::Route::Kind::kPerToken:
      return forward_grouped(x, route, dropout, operations);
    case routing::Route::Kind::kAll:
      return forward_all(x, route, dropout, operations);
  }
  __builtin_unreachable();
}

at::Tensor ResidualExperts::forward_uniform(const at::Tensor& x, const routing::Route& route,
                                            const ResidualDropout& dropout,
                                            net::Operations operations) const {
  const auto& chosen = route.uniform;
  const bool one_expert =
      std::ranges::all_of(chosen, [&](int64_t expert) { return expert == chosen.front(); });
  if (one_expert) return forward_one(x, chosen.front(), dropout, operations);
  const auto parts = x.chunk(static_cast<int64_t>(chosen.size()), 0);
  std::vector<at::Tensor> outputs;
  for (size_t pass = 0; pass < chosen.size(); ++pass) {
    outputs.push_back(
        forward_one(parts[pass], chosen[pass], only_pass(dropout, static_cast<int64_t>(pass)), operations));
  }
  return at::cat(outputs, 0);
}

at::Tensor ResidualExperts::forward_grouped(const at::Tensor& x, const routing::Route& route,
                                            const ResidualDropout& dropout,
                                            net::Operations operations) const {
  const auto grouping = group_by_expert(route.experts, static_cast<int64_t>(experts_.size()));
  if (grouping->rows.empty()) return x;
  const at::Tensor sorted = gather(x, grouping);
  const ResidualDropout of_places = only_pass(dropout, 0);
  std::vector<int64_t> sizes;
  for (size_t e = 0; e < experts_.size(); ++e) sizes.push_back(grouping->ends[e + 1] - grouping->ends[e]);
  const auto parts = sorted.split_with_sizes(sizes, 0);
  std::vector<at::Tensor> changes;
  for (size_t e = 0; e < experts_.size(); ++e) {
    if (sizes[e] == 0) continue;
    const size_t number = experts_[e].size() + e;  // beyond the sublayers' own
    const ResidualDropout of_expert{numbered(of_places.output, number),
                                    numbered(of_places.activation, number)};
    changes.push_back(forward_one(parts[e], static_cast<int64_t>(e), of_expert, operations) - parts[e]);
  }
  return x + combine(at::cat(changes), route.gates, grouping);
}

at::Tensor ResidualExperts::forward_all(const at::Tensor& x, const routing::Route& route,
                                        const ResidualDropout& dropout, net::Operations operations) const {
  at::Tensor change = at::zeros_like(x);
  for (size_t e = 0; e < experts_.size(); ++e) {
    const auto expert = static_cast<int64_t>(e);
    const size_t number = experts_[e].size() + e;  // beyond the sublayers' own
    const ResidualDropout own{numbered(dropout.output, number), numbered(dropout.activation, number)};
    const at::Tensor of_expert = forward_one(x, expert, own, operations) - x;
    change = change + (route.gates.defined() ? of_expert * route.gates.narrow(1, expert, 1)
                                             : of_expert / static_cast<double>(experts_.size()));
  }
  return x + change;
}

}  // namespace megin::expert
