// Switch by sentence (Zuo et al. 2022, figure 4: Switch(s)): one expert for all tokens of a sentence, by the
// learned scores of a mean: in the encoder of the layer's own input, in the decoder of the encoder's output,
// which is the same at every step and looks at nothing that is still to come.
#pragma once

#include "routing/router.h"

namespace megin::routing {

class SentenceRouter : public Router {
 public:
  SentenceRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                 const net::ParameterMemory& parameters, const std::string& prefix);

  // Losses and statistics are over sentences.
  Route route(const RouteRequest& request) const override;

 private:
  const config::ExpertConfig& experts_;
  const config::RoutingConfig& routing_;
  at::Tensor weight_;  // [N, d]
};

}  // namespace megin::routing
