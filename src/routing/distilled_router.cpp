#include "routing/distilled_router.h"

#include <ATen/ATen.h>

#include "routing/base_router.h"
#include "routing/routed_rows.h"
#include "routing/scores.h"

namespace megin::routing {

DistilledRouter::DistilledRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                                 const net::ParameterMemory& parameters, const std::string& prefix)
    : experts_(experts),
      routing_(routing),
      weight_(parameters.get(prefix + "router.weight")),
      symbols_(parameters.get(prefix + "router.symbols")),
      centres_(parameters.get(prefix + "router.centres")) {}

// [rows, N]
at::Tensor DistilledRouter::distilled_scores(const RouteRequest& request,
                                             std::span<const int64_t> rows) const {
  const at::Tensor symbol = at::empty({static_cast<int64_t>(rows.size())}, at::kLong);
  for (size_t i = 0; i < rows.size(); ++i) {
    symbol.data_ptr<int64_t>()[i] = request.tokens[static_cast<size_t>(rows[i])];
  }
  return at::matmul(symbols_.index_select(0, symbol), centres_.t());
}

Route DistilledRouter::route(const RouteRequest& request) const {
  const bool first_stage =
      request.context.training && static_cast<int64_t>(request.context.update) < routing_.first_stage;
  const at::Tensor all_scores = at::matmul(request.hidden, weight_.t());
  const std::vector<int64_t> rows = routed_rows(request);
  const at::Tensor scores = all_scores.index_select(0, at::tensor(rows, at::kLong));
  at::Tensor chosen;
  RouteLosses losses;
  if (first_stage) {
    chosen = routing_.balanced_stage
                 ? assigned_experts(scores.detach().contiguous(), routing_.workers, request)
                 : highest(scores, 1);
    if (!rows.empty()) {
      losses.distillation =
          at::cross_entropy_loss(distilled_scores(request, rows), chosen.view({chosen.size(0)}));
      if (routing_.balance > 0) losses.balance = excess_balance_loss(scores, chosen);
    }
  } else {
    const at::NoGradGuard frozen;
    chosen = highest(distilled_scores(request, rows), 1);
  }
  Route route{.kind = Route::Kind::kPerToken,
              .experts = for_all_rows(chosen, rows, all_scores.size(0)),
              .losses = losses};
  route.gates = gates_of(all_scores, route.experts.clamp_min(0), experts_.gate);
  if (request.context.training) route.statistics = route_statistics(scores, chosen);
  return route;
}

at::Tensor excess_balance_loss(const at::Tensor& scores, const at::Tensor& chosen) {
  const int64_t tokens = scores.size(0), experts = scores.size(1);
  const float share = static_cast<float>(tokens) / static_cast<float>(experts);
  std::vector<float> load(static_cast<size_t>(experts));
  const int64_t* const expert = chosen.data_ptr<int64_t>();
  for (int64_t t = 0; t < tokens; ++t) ++load[static_cast<size_t>(expert[t])];
  const at::Tensor excess = at::empty({tokens, 1}, at::kFloat);
  for (int64_t t = 0; t < tokens; ++t) {
    excess.data_ptr<float>()[t] = load[static_cast<size_t>(expert[t])] / share - 1;
  }
  return (excess * at::sigmoid(scores.gather(1, chosen))).mean();
}

}  // namespace megin::routing
