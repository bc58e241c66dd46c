#include "routing/top_k_router.h"

#include <ATen/ATen.h>

#include <algorithm>

#include "base/random.h"
#include "routing/capacity.h"
#include "routing/routed_rows.h"
#include "routing/scores.h"

namespace megin::routing {
namespace {

// Uses of routing_key().
constexpr uint64_t kNoise = 2, kDrops = 3, kSecond = 4;

}  // namespace

TopKRouter::TopKRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                       const net::ParameterMemory& parameters, const std::string& prefix)
    : experts_(experts), routing_(routing), weight_(parameters.get(prefix + "router.weight")) {
  if (experts.noisy) noise_ = parameters.get(prefix + "router.noise");
  if (experts.biased) bias_ = parameters.get(prefix + "router.bias");
}

at::Tensor TopKRouter::scores(const RouteRequest& request) const {
  const at::Tensor input = jittered(request.hidden, routing_.jitter, request);
  const at::Tensor clean = at::matmul(input, weight_.t());
  if (!noise_.defined() || !request.context.training) return clean;
  const at::Tensor normal = at::empty_like(clean);
  const uint64_t key = routing_key(request, kNoise);
  for (int64_t i = 0; i < normal.numel(); ++i) {
    normal.data_ptr<float>()[i] = static_cast<float>(draw_normal(key, static_cast<uint64_t>(i)));
  }
  return clean + normal * at::softplus(at::matmul(input, noise_.t()));
}

at::Tensor TopKRouter::merit(const at::Tensor& scores) const {
  if (!bias_.defined()) return scores.detach();
  const at::Tensor affinity = experts_.gate == config::Gate::kSigmoid ? at::sigmoid(scores.detach())
                                                                      : at::softmax(scores.detach(), -1);
  return affinity + bias_.detach();
}

// GShard's rule: the second expert is met with probability min(1, 2 g_2). Returns how many were skipped.
int64_t TopKRouter::skip_second(const RouteRequest& request, const Route& route) const {
  const uint64_t key = routing_key(request, kSecond);
  const at::Tensor gates = route.gates.detach().contiguous();
  int64_t skipped = 0;
  for (int64_t row = 0; row < route.experts.size(0); ++row) {
    int64_t& second = route.experts.data_ptr<int64_t>()[2 * row + 1];
    if (second == Route::kNoExpert) continue;
    if (draw_uniform(key, static_cast<uint64_t>(row)) < 2.0 * gates.data_ptr<float>()[2 * row + 1]) continue;
    second = Route::kNoExpert;
    ++skipped;
  }
  return skipped;
}

int64_t TopKRouter::active(const RouteRequest& request) const {
  const auto layer = static_cast<uint64_t>(request.expert_layer);
  if (!request.context.training) return config::active_experts(request.context.dispatch, experts_, layer);
  return config::number_of_layer(request.context.active, layer, experts_.active);
}

Route TopKRouter::route_to_all(const at::Tensor& scores, const RouteRequest& request) const {
  const at::Tensor everyone = at::arange(experts_.count, at::kLong).expand({scores.size(0), experts_.count});
  Route route{.kind = Route::Kind::kAll, .gates = gates_of(scores, everyone, experts_.gate)};
  if (!request.context.training) return route;
  const at::Tensor index = at::tensor(routed_rows(request), at::kLong);
  const at::Tensor routed = scores.index_select(0, index);
  const at::Tensor chosen = highest(routed, experts_.count);
  route.losses = route_losses(routed, chosen, routing_);
  route.statistics = route_statistics(routed, chosen);
  return route;
}

Route TopKRouter::route(const RouteRequest& request) const {
  const at::Tensor all_scores = scores(request);
  const int64_t k = active(request);
  const bool may_drop = request.context.training &&
                        (routing_.capacity > 0 || routing_.second_expert == config::SecondExpert::kSampled);
  if (k == experts_.count && !may_drop) return route_to_all(all_scores, request);
  const at::Tensor chosen = highest(merit(all_scores), k);
  Route route{.kind = Route::Kind::kPerToken, .gates = gates_of(all_scores, chosen, experts_.gate)};
  const std::vector<int64_t> rows = routed_rows(request);
  const at::Tensor index = at::tensor(rows, at::kLong);
  const at::Tensor routed = chosen.index_select(0, index);
  route.experts = for_all_rows(routed, rows, chosen.size(0)).clone();
  if (!request.context.training) return route;

  const at::Tensor routed_scores = all_scores.index_select(0, index);
  route.losses = route_losses(routed_scores, routed, routing_);
  route.statistics = route_statistics(routed_scores, routed);
  if (routing_.second_expert == config::SecondExpert::kSampled && k == 2) {
    route.statistics.dropped += skip_second(request, route);
  }
  if (routing_.capacity > 0) {
    const int64_t capacity =
        capacity_of(routing_.capacity, static_cast<int64_t>(rows.size()), k, experts_.count);
    const auto key = routing_.random_drops ? std::optional(routing_key(request, kDrops)) : std::nullopt;
    route.statistics.dropped += drop_beyond(route.experts, capacity, key);
  }
  return route;
}

}  // namespace megin::routing
