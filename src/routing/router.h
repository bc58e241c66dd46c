// A router: the rule of one expert layer for who meets which expert. One file for each kind.
#pragma once

#include <memory>
#include <string>

#include "config/model_config.h"
#include "config/train_config.h"
#include "net/parameters.h"
#include "routing/route.h"

namespace megin::routing {

class Router {
 public:
  Router() = default;
  Router(const Router&) = delete;
  Router& operator=(const Router&) = delete;
  virtual ~Router() = default;

  // Pure: the same request gives the same route. Threads may call it at the same time.
  virtual Route route(const RouteRequest& request) const = 0;
};

// The router that the configuration names, over the parameters prefix + "router.weight" and so on (those that
// the kind has). Keeps references to all of them.
std::unique_ptr<Router> make_router(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                                    const net::ParameterMemory& parameters, const std::string& prefix);

}  // namespace megin::routing
