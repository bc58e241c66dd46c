// How many experts a token meets while a model of growing experts trains.
#pragma once

#include <cstdint>
#include <vector>

#include "config/model_config.h"
#include "config/train_config.h"

namespace megin::config {

// Whether it grows over all updates of a training, and so must know how many there are.
bool is_as_long_as_run(ActiveSchedule schedule);

// k of the first update: as given, or half of experts.active, rounded up.
int64_t first_active_experts(const RoutingConfig& routing, const ExpertConfig& experts);

// k after `completed` of `last` updates, from 1 to experts.active (smoe_dropout spec 1.4). Pure; of the
// schedule `random` a hash of (seed, completed), of an anchored update first_active_experts().
int64_t active_experts_at(const RoutingConfig& routing, const ExpertConfig& experts, int64_t completed,
                          int64_t last, uint64_t seed);

// The same as config::Dispatch::active has it: one number for all of `layers` expert layers, or one for each
// of them, which with random_by_layer are hashes of (seed, completed, layer).
std::vector<int64_t> active_by_layer_at(const RoutingConfig& routing, const ExpertConfig& experts,
                                        int64_t completed, int64_t last, uint64_t seed, int64_t layers);

}  // namespace megin::config
