// BASE layers (Lewis et al. 2021): in training tokens are assigned to experts so that all get equally many
// and the sum of scores is as high as can be; in use each token takes the expert it scores highest. The gate
// is the sigmoid of the chosen score, by which alone the scores are trained.
#pragma once

#include "routing/router.h"

namespace megin::routing {

class BaseRouter : public Router {
 public:
  BaseRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
             const net::ParameterMemory& parameters, const std::string& prefix);

  // In training with routing.workers above 1, the tokens are shuffled (by hash) and cut into so many groups,
  // each of which is assigned by itself, as the paper's workers do.
  Route route(const RouteRequest& request) const override;

 private:
  const config::ExpertConfig& experts_;
  const config::RoutingConfig& routing_;
  at::Tensor weight_;  // [N, d]
};

// The balanced assignment of a training pass. scores: [tokens, N] of the routed rows, without gradients.
// Returns [tokens, 1], int64.
at::Tensor assigned_experts(const at::Tensor& scores, int64_t workers, const RouteRequest& request);

}  // namespace megin::routing
