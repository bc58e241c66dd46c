// Experts choose tokens (Zhou et al. 2022, section 3.2): of the tokens of a sentence each expert takes the
// ceil(k * length / N) whose shares of it, softmax_e(h W^T), are highest, so that loads are equal without a
// loss and a token meets k experts on average, or none. The paper lets experts choose over a whole batch;
// here over a sentence, so that a sentence's result does not depend on its neighbours, in training as in use.
#pragma once

#include "routing/router.h"

namespace megin::routing {

class ExpertChoiceRouter : public Router {
 public:
  ExpertChoiceRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                     const net::ParameterMemory& parameters, const std::string& prefix);

  // The route has a column for each expert. Statistics count tokens that nobody chose as dropped.
  Route route(const RouteRequest& request) const override;

 private:
  const config::ExpertConfig& experts_;
  const config::RoutingConfig& routing_;
  at::Tensor weight_;  // [N, d]
};

}  // namespace megin::routing
