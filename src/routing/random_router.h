// THOR's routing (Zuo et al. 2022, section 3): no gate and no parameters. In training every pass draws one
// expert for a layer, uniformly and by hash, and all of its tokens use it; in evaluation the dispatch of
// config/dispatch.h says which expert a token meets.
#pragma once

#include <cstdint>

#include "routing/route.h"

namespace megin::routing {

class RandomRouter {
 public:
  explicit RandomRouter(int64_t experts) : experts_(experts) {}

  Route route(const RouteRequest& request) const;

  // The expert that a training pass draws. Independent draws of two passes coincide with probability 1 / N;
  // distinct ones never do.
  int64_t draw(const RouteRequest& request, int64_t pass) const;

 private:
  Route route_in_evaluation(const RouteRequest& request) const;

  int64_t experts_;
};

}  // namespace megin::routing
