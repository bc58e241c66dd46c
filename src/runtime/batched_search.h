// Searches and scoring over any number of sentences: planned into batches of like length, run on a pool of
// threads, and handed back in the order they came in. Each sentence's result is the same bits at any batch
// size and thread count.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "search/beam_search.h"
#include "search/sampling.h"

namespace megin::runtime {

// Plans batches of sentences of like length, at most `budget` tokens each, but enough of them to give each
// thread one, and runs them on the pool: `run` gets the numbers of a batch's sentences, longest first.
void run_batches(std::span<const int64_t> lengths, int64_t budget, ThreadPool& pool,
                 const std::function<void(const std::vector<size_t>&)>& run);

struct BatchedSearch {
  search::SearchOptions search;
  std::optional<search::SamplingOptions> sampling;  // draw instead of searching

  // Most tokens decoded side by side: longest source * sentences * hypotheses of each. Sets memory (rows
  // times vocabulary) and speed, never results.
  int64_t batch_tokens = 4096;
};

// The n-best, or the samples, of each source. prefixes: empty, or one per source. Errors as
// search::beam_search.
std::vector<std::vector<search::Hypothesis>> search_all(const search::NextTokenModel& model,
                                                        std::span<const search::Source> sources,
                                                        std::span<const search::Tokens> prefixes,
                                                        const BatchedSearch& options, ThreadPool& pool);

// Each target's tokens (end mark included) scored given its source. Errors as search::score_targets.
std::vector<search::Hypothesis> score_all(const search::NextTokenModel& model,
                                          std::span<const search::Source> sources,
                                          std::span<const search::Tokens> targets,
                                          const BatchedSearch& options, ThreadPool& pool);

}  // namespace megin::runtime
