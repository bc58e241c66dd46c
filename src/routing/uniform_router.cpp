#include "routing/uniform_router.h"

#include <ATen/ATen.h>

#include "base/random.h"
#include "config/dispatch.h"
#include "routing/random_router.h"
#include "routing/routed_rows.h"

namespace megin::routing {

uint64_t UniformRouter::key(const RouteRequest& request, int64_t pass) const {
  const net::ForwardContext& context = request.context;
  return draw_key(context.seed, Purpose::kExpertDraw,
                  {context.update, context.micro_batch, static_cast<uint64_t>(request.stack),
                   static_cast<uint64_t>(request.layer), static_cast<uint64_t>(context.first_pass + pass)});
}

Route UniformRouter::route(const RouteRequest& request) const {
  const net::ForwardContext& context = request.context;
  if (experts_.active > 1) return draw_several(request);
  if (!context.training) return drawn_route(request, experts_.count);
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::full({request.hidden.size(0), 1}, Route::kNoExpert, at::kLong);
  route.statistics.load.assign(static_cast<size_t>(experts_.count), 0);
  int64_t* const experts = route.experts.data_ptr<int64_t>();
  const int64_t rows_of_pass = request.hidden.size(0) / context.passes;
  for (const int64_t row : routed_rows(request)) {
    experts[row] = static_cast<int64_t>(draw_index(key(request, row / rows_of_pass),
                                                   static_cast<uint64_t>(row % rows_of_pass),
                                                   static_cast<uint64_t>(experts_.count)));
    ++route.statistics.load[static_cast<size_t>(experts[row])];
    ++route.statistics.routed;
  }
  return route;
}

Route UniformRouter::draw_several(const RouteRequest& request) const {
  const net::ForwardContext& context = request.context;
  const config::DispatchMode mode = context.dispatch.mode;
  const bool draws = mode != config::DispatchMode::kEnsemble && mode != config::DispatchMode::kPath;
  if (!context.training && !draws) return drawn_route(request, experts_.count);
  const int64_t k = experts_.active, tokens = request.hidden.size(0);
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::full({tokens, k}, Route::kNoExpert, at::kLong);
  route.gates = at::zeros({tokens, k}, at::kFloat);
  if (context.training) route.statistics.load.assign(static_cast<size_t>(experts_.count), 0);
  const int64_t rows_of_pass = tokens / context.passes;
  config::TokenPlace place{.stack = request.stack,
                           .layer = static_cast<uint64_t>(request.layer),
                           .expert_layer = static_cast<uint64_t>(request.expert_layer)};
  for (const int64_t row : routed_rows(request)) {
    const std::span<int64_t> experts(route.experts.data_ptr<int64_t>() + row * k, static_cast<size_t>(k));
    const config::DrawnChoice choice{
        .experts = experts, .gates = {route.gates.data_ptr<float>() + row * k, static_cast<size_t>(k)}};
    if (!context.training) {
      place.sentence =
          request.sentences[static_cast<size_t>(row / request.length) % request.sentences.size()];
      place.position = static_cast<uint64_t>(row % request.length);
      config::draw_experts(context.dispatch, place, experts_, choice);
      continue;
    }
    config::draw_experts(key(request, row / rows_of_pass), static_cast<uint64_t>(row % rows_of_pass),
                         experts_, choice);
    for (const int64_t expert : experts) ++route.statistics.load[static_cast<size_t>(expert)];
    ++route.statistics.routed;
  }
  return route;
}

}  // namespace megin::routing
