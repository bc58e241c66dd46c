#include "routing/uniform_router.h"

#include <ATen/ATen.h>

#include "base/random.h"
#include "routing/random_router.h"
#include "routing/routed_rows.h"

namespace megin::routing {

Route UniformRouter::route(const RouteRequest& request) const {
  const net::ForwardContext& context = request.context;
  if (!context.training) return drawn_route(request, experts_);
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::full({request.hidden.size(0), 1}, Route::kNoExpert, at::kLong);
  route.statistics.load.assign(static_cast<size_t>(experts_), 0);
  int64_t* const experts = route.experts.data_ptr<int64_t>();
  const int64_t rows_of_pass = request.hidden.size(0) / context.passes;
  for (const int64_t row : routed_rows(request)) {
    const uint64_t key = draw_key(context.seed, Purpose::kExpertDraw,
                                  {context.update, context.micro_batch, static_cast<uint64_t>(request.stack),
                                   static_cast<uint64_t>(request.layer),
                                   static_cast<uint64_t>(context.first_pass + row / rows_of_pass)});
    experts[row] = static_cast<int64_t>(
        draw_index(key, static_cast<uint64_t>(row % rows_of_pass), static_cast<uint64_t>(experts_)));
    ++route.statistics.load[static_cast<size_t>(experts[row])];
    ++route.statistics.routed;
  }
  return route;
}

}  // namespace megin::routing
