// A smaller model of experts out of a larger one: the experts that got most votes (smoe_dropout spec 3.3).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "store/expert_conversion.h"

namespace megin::store {

// Votes of each expert layer, encoder first, and in it of each expert.
using LayerVotes = std::vector<std::vector<uint64_t>>;

// The `keep` experts with most votes of each layer, ascending; of equal ones the first. Throws UsageError for
// fewer than one, or as many as there are or more.
std::vector<std::vector<int64_t>> most_voted(const LayerVotes& votes, int64_t keep);

// The model with these experts of each expert layer alone, equally many in each, and their rows of the
// router: tokens choose among them as they did before. A token meets as many experts as before, or all that
// are left. Gates are what they were made from: over the chosen ones (softmax_of_chosen, mean, sigmoid of
// several) they add up to 1 again; a softmax over all experts becomes one over those that are left, so that
// each share grows; the sigmoid of one stays. Nothing is rescaled beyond that, and scales that were measured
// (model.experts.scales) are left out.
//
// One expert in each layer is a dense model of an expert's width, as its gate is 1.
//
// Throws UsageError for a model whose tokens do not choose by scores (a hash gives symbols to experts that
// would be gone; drawn experts get no votes; of expert_choice all get as many), for another number of layers
// or fewer experts than one or as many as there are, and for one expert beside a shared one, or whose gate is
// not 1 then.
ConvertedModel keep_experts(const config::ModelConfig& model, const TensorLookup& tensors,
                            std::span<const std::vector<int64_t>> kept);

}  // namespace megin::store
