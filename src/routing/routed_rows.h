// Which rows of a batch are routed: those of tokens. Padding meets no expert and is counted nowhere.
#pragma once

#include <cstdint>
#include <vector>

#include "routing/route.h"

namespace megin::routing {

// The rows of the request that hold tokens, ascending.
std::vector<int64_t> routed_rows(const RouteRequest& request);

}  // namespace megin::routing
