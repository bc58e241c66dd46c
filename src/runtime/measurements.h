// What a model may note while it runs, for tools that look into it.
#pragma once

#include <vector>

#include "runtime/expert_votes.h"
#include "runtime/output_scales.h"
#include "store/unit_activity.h"

namespace megin::runtime {

// Null: is not noted. None of them changes what the model computes.
struct Measurements {
  OutputSquares* squares = nullptr;  // of a model with an elastic router (config::is_elastic)
  // One for each layer, encoder first: of the feed-forwards of layers without experts.
  std::vector<store::UnitActivity>* activity = nullptr;
  ExpertVotes* votes = nullptr;  // of a model with experts
};

}  // namespace megin::runtime
