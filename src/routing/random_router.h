// THOR's routing (Zuo et al. 2022, section 3): no gate and no parameters. In training every pass draws one
// expert for a layer, uniformly and by hash, and all of its tokens use it; in evaluation the dispatch of
// config/dispatch.h says which expert a token meets.
#pragma once

#include <cstdint>

#include "routing/router.h"

namespace megin::routing {

class RandomRouter : public Router {
 public:
  explicit RandomRouter(int64_t experts) : experts_(experts) {}

  Route route(const RouteRequest& request) const override;

  // The expert that a training pass draws. Independent draws of two passes coincide with probability 1 / N;
  // distinct ones never do.
  int64_t draw(const RouteRequest& request, int64_t pass) const;

 private:
  int64_t experts_;
};

// The route that the dispatch of an evaluation gives, whose modes draw experts.
Route drawn_route(const RouteRequest& request, int64_t experts);

}  // namespace megin::routing
