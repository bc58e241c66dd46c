// Beam search as fairseq does it (Ott et al. 2019, arXiv 1904.01038, sequence_generator.py; thor spec 4.6):
// each step takes the 2 * beam best continuations of a sentence's hypotheses by cumulative log-probability;
// an end mark among the best `beam` of them finishes a hypothesis, the best `beam` others continue. A
// sentence is done when `beam` hypotheses have finished, or at its length limit. No early stopping heuristic.
//
// A sentence's output depends on nothing but the sentence: not on what else is in the call, nor on the order.
// Equal scores go to the lower token id, then to the better beam of the step before. Pure; any number of
// threads may search one model at a time.
#pragma once

#include <span>
#include <vector>

#include "search/search_options.h"

namespace megin::search {

using Tokens = std::vector<int32_t>;

// The n-best of each source, best first: between 1 and options.nbest of each. prefixes: empty, or one per
// source: tokens that the output begins with (no end mark or pad; may be empty). beam = 1 takes the greedy
// path, which gives the same. Throws UsageError for options or prefixes that cannot be, Error when the model
// gives no token a probability (NaN weights).
std::vector<std::vector<Hypothesis>> beam_search(const NextTokenModel& model, std::span<const Source> sources,
                                                 const SearchOptions& options,
                                                 std::span<const Tokens> prefixes = {});

// The best continuation at each step: beam_search with a beam of 1, without its bookkeeping.
std::vector<Hypothesis> greedy_search(const NextTokenModel& model, std::span<const Source> sources,
                                      const SearchOptions& options, std::span<const Tokens> prefixes = {});

}  // namespace megin::search
