// Sampling: each token is drawn from the model's distribution, tempered and truncated. A draw is a hash of
// (seed, sentence, sample, position), so outputs do not depend on batches or threads.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "search/beam_search.h"
#include "search/search_options.h"

namespace megin::search {

struct SamplingOptions {
  uint64_t seed = 1;
  double temperature = 1.0;  // log-probabilities are divided by it; above 0, below 1 sharpens
  int64_t top_k = 0;         // draw among the so many likeliest tokens; 0: all
  double top_p = 1.0;  // of those, the fewest likeliest whose probabilities reach this (Holtzman et al. 2020)
  int64_t samples = 1;  // independent ones of each source
};

// The samples of each source in the order of their number. Of SearchOptions the lengths, special symbols and
// the length penalty count; log-probabilities are the model's own, before temperature and truncation.
// prefixes as in beam_search. Throws UsageError for options that cannot be.
struct SamplingRequest {
  std::span<const Source> sources;
  std::span<const Tokens> prefixes;
};
std::vector<std::vector<Hypothesis>> sample(const NextTokenModel& model, const SamplingRequest& request,
                                            const SearchOptions& options, const SamplingOptions& sampling);

// One draw: the token that `uniform` in [0, 1) picks from one row of log-probabilities [vocabulary]; tokens
// of -infinity are never picked.
int32_t sample_token(std::span<const float> log_probs, const SamplingOptions& options, double uniform);

}  // namespace megin::search
