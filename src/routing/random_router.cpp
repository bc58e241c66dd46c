#include "routing/random_router.h"

#include <ATen/ATen.h>

#include <stdexcept>

#include "base/random.h"

namespace megin::routing {

int64_t RandomRouter::draw(const RouteRequest& request, int64_t pass) const {
  const net::ForwardContext& context = request.context;
  const uint64_t key = draw_key(context.seed, Purpose::kExpertDraw,
                                {context.update, context.micro_batch, static_cast<uint64_t>(request.stack),
                                 static_cast<uint64_t>(request.layer)});
  if (context.pair == config::Pair::kDistinct && pass > 0 && experts_ > 1) {
    const uint64_t first = draw_index(key, 0, static_cast<uint64_t>(experts_));
    const uint64_t step =
        1 + draw_index(key, static_cast<uint64_t>(pass), static_cast<uint64_t>(experts_) - 1);
    return static_cast<int64_t>((first + step) % static_cast<uint64_t>(experts_));
  }
  return static_cast<int64_t>(draw_index(key, static_cast<uint64_t>(pass), static_cast<uint64_t>(experts_)));
}

Route RandomRouter::route(const RouteRequest& request) const {
  if (!request.context.training) return drawn_route(request, experts_);
  Route route;
  for (int64_t p = 0; p < request.context.passes; ++p) {
    route.uniform.push_back(draw(request, request.context.first_pass + p));
  }
  return route;
}

Route drawn_route(const RouteRequest& request, int64_t experts_of_layer) {
  const config::Dispatch& dispatch = request.context.dispatch;
  config::TokenPlace place{.sentence = 0,
                           .position = 0,
                           .stack = request.stack,
                           .layer = static_cast<uint64_t>(request.layer),
                           .expert_layer = static_cast<uint64_t>(request.expert_layer)};
  Route route;
  switch (dispatch.mode) {
    case config::DispatchMode::kEnsemble:
      route.kind = Route::Kind::kAll;
      return route;
    case config::DispatchMode::kBatch:
    case config::DispatchMode::kPath:
      route.uniform.assign(static_cast<size_t>(request.context.passes),
                           draw_expert(dispatch, place, experts_of_layer));
      return route;
    case config::DispatchMode::kSentence:
    case config::DispatchMode::kToken:
    case config::DispatchMode::kPosition:
      break;
    case config::DispatchMode::kRouter:
      throw std::logic_error("a router that draws has no choice of its own");
  }
  route.kind = Route::Kind::kPerToken;
  const int64_t tokens = request.hidden.size(0);
  route.experts = at::empty({tokens, 1}, at::kLong);
  int64_t* const experts = route.experts.data_ptr<int64_t>();
  for (int64_t row = 0; row < tokens; ++row) {
    const auto sentence = static_cast<size_t>(row / request.length) % request.sentences.size();
    place.sentence = request.sentences[sentence];
    place.position = static_cast<uint64_t>(request.first_position + row % request.length);
    experts[row] = draw_expert(dispatch, place, experts_of_layer);
  }
  return route;
}

}  // namespace megin::routing
