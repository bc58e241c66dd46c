#include "routing/distilled_router.h"

#include <ATen/ATen.h>

#include <algorithm>

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
      centres_(parameters.get(prefix + "router.centres")) {
  if (experts.distilled_input == config::DistilledInput::kCnn) {
    kernel_ = parameters.get(prefix + "router.kernel");
  }
}

// [tokens, distilled_width]: what the router sees of each token. Nothing stands before the first one of a
// sentence, or of a block of text.
at::Tensor DistilledRouter::symbol_vectors(const RouteRequest& request) const {
  const at::Tensor symbol = at::empty({static_cast<int64_t>(request.tokens.size())}, at::kLong);
  std::copy(request.tokens.begin(), request.tokens.end(), symbol.data_ptr<int64_t>());
  const at::Tensor vectors = symbols_.index_select(0, symbol);
  const int64_t reach = config::distilled_reach(experts_.distilled_input), length = request.length;
  if (reach == 1) return vectors;
  const at::Tensor sentences = vectors.view({-1, length, vectors.size(1)});
  at::Tensor sum = at::zeros_like(sentences);
  for (int64_t back = 0; back < std::min(reach, length); ++back) {
    const at::Tensor kept = sentences.narrow(1, 0, length - back);
    const at::Tensor nothing = at::zeros({sentences.size(0), back, vectors.size(1)}, at::kFloat);
    const at::Tensor moved = at::cat({nothing, kept}, 1);
    // By expansion one dimension at a time, the gradient of a weight is summed up one at a time, in an order
    // that no number of threads changes.
    const at::Tensor weight =
        kernel_.defined()
            ? kernel_[back].view({1, 1, 1}).expand({moved.size(0), 1, 1}).expand({moved.size(0), length, 1})
            : at::full({1, 1, 1}, 1.0 / static_cast<double>(reach), at::kFloat);
    sum = sum + moved * weight;
  }
  return sum.view_as(vectors);
}

// [rows, N]
at::Tensor DistilledRouter::distilled_scores(const RouteRequest& request,
                                             std::span<const int64_t> rows) const {
  const at::Tensor index = at::tensor(std::vector<int64_t>(rows.begin(), rows.end()), at::kLong);
  return at::matmul(symbol_vectors(request).index_select(0, index), centres_.t());
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
