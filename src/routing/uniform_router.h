// Every token draws its expert, uniformly and by hash, in training as in use: Switch without its router, the
// control that THOR's paper calls Switch(r) (Zuo et al. 2022, figure 4). No gate, no parameters.
#pragma once

#include "routing/router.h"

namespace megin::routing {

class UniformRouter : public Router {
 public:
  explicit UniformRouter(int64_t experts) : experts_(experts) {}

  // In evaluation the dispatch says how experts are drawn, as for random experts.
  Route route(const RouteRequest& request) const override;

 private:
  int64_t experts_;
};

}  // namespace megin::routing
