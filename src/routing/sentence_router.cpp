#include "routing/sentence_router.h"

#include <ATen/ATen.h>

#include "routing/routed_rows.h"
#include "routing/scores.h"

namespace megin::routing {

SentenceRouter::SentenceRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                               const net::ParameterMemory& parameters, const std::string& prefix)
    : experts_(experts), routing_(routing), weight_(parameters.get(prefix + "router.weight")) {}

Route SentenceRouter::route(const RouteRequest& request) const {
  const at::Tensor mean = request.stack == config::Stack::kDecoder
                              ? request.memory_mean
                              : sentence_means(request.hidden, request.length, request.lengths);
  const at::Tensor scores = at::matmul(jittered(mean, routing_.jitter, request), weight_.t());
  const at::Tensor chosen = highest(scores, 1);
  const int64_t rows = request.hidden.size(0);
  const at::Tensor sentence = at::div(at::arange(rows, at::kLong), request.length, "floor");
  Route route{.kind = Route::Kind::kPerToken,
              .gates = gates_of(scores, chosen, experts_.gate).index_select(0, sentence)};
  const std::vector<int64_t> routed = routed_rows(request);
  const at::Tensor of_rows = chosen.index_select(0, sentence);
  route.experts = for_all_rows(of_rows.index_select(0, at::tensor(routed, at::kLong)), routed, rows);
  if (!request.context.training) return route;
  route.losses = route_losses(scores, chosen, routing_);
  route.statistics = route_statistics(scores, chosen);
  return route;
}

}  // namespace megin::routing
