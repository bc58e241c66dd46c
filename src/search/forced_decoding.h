// Scoring given targets: the model is fed each target's own tokens and asked for their log-probabilities.
#pragma once

#include <span>
#include <vector>

#include "search/beam_search.h"
#include "search/search_options.h"

namespace megin::search {

// Scores targets[i] given sources[i] and what is fed first (Source::begin): tokens as given (put the end mark
// last to count it, as searches do). An empty target scores 0. Same results in any batch. Throws UsageError
// when the counts differ, a token is outside the vocabulary or a target is longer than the model can read.
std::vector<Hypothesis> score_targets(const NextTokenModel& model, std::span<const Source> sources,
                                      std::span<const Tokens> targets, const SearchOptions& options);

}  // namespace megin::search
