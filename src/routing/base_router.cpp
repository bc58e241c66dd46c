#include "routing/base_router.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "net/row_parts.h"
#include "routing/auction.h"
#include "routing/routed_rows.h"
#include "routing/scores.h"

namespace megin::routing {

BaseRouter::BaseRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                       const net::ParameterMemory& parameters, const std::string& prefix)
    : experts_(experts), routing_(routing), weight_(parameters.get(prefix + "router.weight")) {}

at::Tensor assigned_experts(const at::Tensor& scores, int64_t workers, const RouteRequest& request) {
  constexpr uint64_t kShuffle = 6;  // use of routing_key()
  const int64_t tokens = scores.size(0), experts = scores.size(1);
  std::vector<int64_t> order(static_cast<size_t>(tokens));
  std::iota(order.begin(), order.end(), int64_t{0});
  if (workers > 1) {
    const uint64_t key = routing_key(request, kShuffle);
    std::ranges::stable_sort(order, {},
                             [&](int64_t token) { return draw_bits(key, static_cast<uint64_t>(token)); });
  }
  const at::Tensor chosen = at::empty({tokens, 1}, at::kLong);
  const float* const from = scores.data_ptr<float>();
  for (int64_t worker = 0; worker < workers; ++worker) {
    const int64_t first = tokens * worker / workers, count = tokens * (worker + 1) / workers - first;
    std::vector<float> group;
    group.reserve(static_cast<size_t>(count * experts));
    for (int64_t i = first; i < first + count; ++i) {
      const float* const row = from + order[static_cast<size_t>(i)] * experts;
      group.insert(group.end(), row, row + experts);
    }
    const AuctionResult result = balanced_assignment(group, count, experts, {.for_tasks = &net::for_tasks});
    for (int64_t i = 0; i < count; ++i) {
      chosen.data_ptr<int64_t>()[order[static_cast<size_t>(first + i)]] =
          result.experts[static_cast<size_t>(i)];
    }
  }
  return chosen;
}

Route BaseRouter::route(const RouteRequest& request) const {
  const at::Tensor input = jittered(request.hidden, routing_.jitter, request);
  const at::Tensor all_scores = at::matmul(input, weight_.t());
  const std::vector<int64_t> rows = routed_rows(request);
  const at::Tensor index = at::tensor(rows, at::kLong);
  const at::Tensor scores = all_scores.index_select(0, index);
  const at::Tensor chosen = request.context.training
                                ? assigned_experts(scores.detach().contiguous(), routing_.workers, request)
                                : highest(scores, 1);
  Route route{.kind = Route::Kind::kPerToken, .experts = for_all_rows(chosen, rows, all_scores.size(0))};
  route.gates = gates_of(all_scores, route.experts.clamp_min(0), experts_.gate);
  if (!request.context.training) return route;
  route.losses = route_losses(scores, chosen, routing_);
  route.statistics = route_statistics(scores, chosen);
  return route;
}

}  // namespace megin::routing
