// How many experts a token meets while a model of growing experts trains.
#pragma once

#include <cstdint>

#include "config/model_config.h"
#include "config/train_config.h"

namespace megin::config {

// k of the first update: as given, or half of experts.active, rounded up.
int64_t first_active_experts(const RoutingConfig& routing, const ExpertConfig& experts);

// k after `completed` of `last` updates, from 1 to experts.active (smoe_dropout spec 1.4). Pure; of the
// schedule `random` a hash of (seed, completed).
int64_t active_experts_at(const RoutingConfig& routing, const ExpertConfig& experts, int64_t completed,
                          int64_t last, uint64_t seed);

}  // namespace megin::config
