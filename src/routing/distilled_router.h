// StableMoE's router (Dai et al. 2022, section 3). In the first stage of a training each token meets the
// expert that scores highest, h E^T, with a balance loss, and a distilled router learns those choices from
// the symbol alone: D[symbol] F^T, or from the symbols up to it: sum_j w_j D[symbol j before] F^T. From the
// second stage on, and in every evaluation, the distilled router chooses; it is frozen then. The gate is the
// sigmoid of the score h . E of the chosen expert in both stages, so E goes on learning.
#pragma once

#include <span>

#include "routing/router.h"

namespace megin::routing {

class DistilledRouter : public Router {
 public:
  DistilledRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                  const net::ParameterMemory& parameters, const std::string& prefix);

  Route route(const RouteRequest& request) const override;

 private:
  at::Tensor distilled_scores(const RouteRequest& request, std::span<const int64_t> rows) const;
  at::Tensor symbol_vectors(const RouteRequest& request) const;

  const config::ExpertConfig& experts_;
  const config::RoutingConfig& routing_;
  at::Tensor weight_;   // E, [N, d]
  at::Tensor symbols_;  // D, [V, distilled_width]
  at::Tensor centres_;  // F, [N, distilled_width]
  at::Tensor kernel_;   // w, [5], of DistilledInput::kCnn
};

// The mean over tokens of (n_i / (T / N) - 1) sigmoid(s_i), where i is the token's expert and n_i how many
// tokens that has: eq. 8 divided by T. The factor carries no gradient. scores: [T, N], chosen: [T, 1].
at::Tensor excess_balance_loss(const at::Tensor& scores, const at::Tensor& chosen);

}  // namespace megin::routing
