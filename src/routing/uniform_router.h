// Every token draws its expert, uniformly and by hash, in training as in use: Switch without its router, the
// control that THOR's paper calls Switch(r) (Zuo et al. 2022, figure 4). No parameters. Several of them for a
// token are those with the highest of N scores U(0, 1), and their gates a softmax over these scores
// (CustomRandomGate of Chen et al. 2023's code) or equal shares; of one there is no gate.
#pragma once

#include "routing/router.h"

namespace megin::routing {

class UniformRouter : public Router {
 public:
  explicit UniformRouter(const config::ExpertConfig& experts) : experts_(experts) {}

  // In evaluation the dispatch says how experts are drawn, as for random experts.
  Route route(const RouteRequest& request) const override;

 private:
  Route draw_several(const RouteRequest& request) const;
  uint64_t key(const RouteRequest& request, int64_t pass) const;

  const config::ExpertConfig& experts_;
};

}  // namespace megin::routing
