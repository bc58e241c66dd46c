#include "routing/expert_choice_router.h"

#include <ATen/ATen.h>

#include "matrix/highest.h"
#include "routing/routed_rows.h"
#include "routing/scores.h"

namespace megin::routing {

ExpertChoiceRouter::ExpertChoiceRouter(const config::ExpertConfig& experts,
                                       const config::RoutingConfig& routing,
                                       const net::ParameterMemory& parameters, const std::string& prefix)
    : experts_(experts), routing_(routing), weight_(parameters.get(prefix + "router.weight")) {}

Route ExpertChoiceRouter::route(const RouteRequest& request) const {
  const at::Tensor scores = at::matmul(request.hidden, weight_.t());
  const at::Tensor shares = at::softmax(scores, -1);
  const at::Tensor by_expert = shares.detach().t().contiguous();  // [N, tokens]
  const int64_t tokens = scores.size(0), count = experts_.count;
  Route route{.kind = Route::Kind::kPerToken,
              .experts = at::full({tokens, count}, Route::kNoExpert, at::kLong),
              .gates = shares};
  int64_t* const to = route.experts.data_ptr<int64_t>();
  std::vector<int64_t> chosen;
  for (int64_t first = 0, sentence = 0; first < tokens; first += request.length, ++sentence) {
    const int64_t length =
        request.lengths.empty() ? request.length : request.lengths[static_cast<size_t>(sentence)];
    chosen.resize(static_cast<size_t>(config::tokens_of_expert(experts_, length)));
    for (int64_t e = 0; e < count; ++e) {
      const float* const row = by_expert.data_ptr<float>() + e * tokens + first;
      matrix::choose_highest({row, static_cast<size_t>(length)}, chosen);
      for (const int64_t token : chosen) to[(first + token) * count + e] = e;
    }
  }
  if (!request.context.training) return route;
  const std::vector<int64_t> rows = routed_rows(request);
  const at::Tensor index = at::tensor(rows, at::kLong);
  const at::Tensor routed = scores.index_select(0, index);
  if (routing_.z_loss > 0) route.losses.z = at::logsumexp(routed, -1).square().mean();
  route.statistics = route_statistics(routed, highest(routed, 1));
  std::ranges::fill(route.statistics.load, 0);
  for (const int64_t row : rows) {
    int64_t met = 0;
    for (int64_t e = 0; e < count; ++e) {
      const bool meets = to[row * count + e] != Route::kNoExpert;
      route.statistics.load[static_cast<size_t>(e)] += meets;
      met += meets;
    }
    route.statistics.dropped += met == 0;
  }
  return route;
}

}  // namespace megin::routing
