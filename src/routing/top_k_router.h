// The k experts with the highest learned scores h W^T of a token: Switch with one (Fedus et al. 2021), the
// mixtures of Shazeer et al. 2017 and GShard (Lepikhin et al. 2020) with two, and their modern form whose
// choice is balanced by a bias of each expert instead of a loss (Wang et al. 2024). With weights that nothing
// trains it is the router of SMoE-Dropout (Chen et al. 2023), whose scores still carry gradients to the
// tokens. With all experts chosen the route is kAll, which needs no dispatch.
#pragma once

#include "routing/router.h"

namespace megin::routing {

class TopKRouter : public Router {
 public:
  TopKRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
             const net::ParameterMemory& parameters, const std::string& prefix);

  Route route(const RouteRequest& request) const override;

 private:
  at::Tensor scores(const RouteRequest& request) const;  // [tokens, N]
  at::Tensor merit(const at::Tensor& scores) const;      // what the choice goes by
  int64_t active(const RouteRequest& request) const;
  Route route_to_all(const at::Tensor& scores, const RouteRequest& request) const;
  int64_t skip_second(const RouteRequest& request, const Route& route) const;

  const config::ExpertConfig& experts_;
  const config::RoutingConfig& routing_;
  at::Tensor weight_;  // [N, d]
  at::Tensor noise_;   // [N, d]; undefined unless noisy
  at::Tensor bias_;    // [N]; undefined unless biased
};

}  // namespace megin::routing
