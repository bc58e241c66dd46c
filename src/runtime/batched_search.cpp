#include "runtime/batched_search.h"

#include <algorithm>

#include "base/error.h"
#include "search/batching.h"
#include "search/forced_decoding.h"

namespace megin::runtime {
namespace {

using search::Hypothesis;
using search::Source;
using search::Tokens;
using Batch = std::vector<size_t>;

template <typename T>
std::vector<T> pick(std::span<const T> all, const Batch& batch) {
  std::vector<T> some;
  if (!all.empty()) {
    for (const size_t i : batch) some.push_back(all[i]);
  }
  return some;
}

int64_t budget_of(const BatchedSearch& options, int64_t hypotheses) {
  if (options.batch_tokens < 1) fail_usage("batch tokens: wanted at least 1, found {}", options.batch_tokens);
  return std::max<int64_t>(1, options.batch_tokens / std::max<int64_t>(1, hypotheses));
}

}  // namespace

void run_batches(std::span<const int64_t> lengths, int64_t budget, ThreadPool& pool,
                 const std::function<void(const std::vector<size_t>&)>& run) {
  int64_t total = 0;
  for (const int64_t length : lengths) total += length;
  const int64_t share = (total + pool.threads() - 1) / pool.threads();
  const auto batches = search::plan_batches(lengths, std::max<int64_t>(1, std::min(budget, share)));
  std::vector<std::function<void()>> tasks;
  tasks.reserve(batches.size());
  for (const Batch& batch : batches) tasks.emplace_back([&run, &batch] { run(batch); });
  pool.run_tasks(tasks);
}

std::vector<std::vector<Hypothesis>> search_all(const search::NextTokenModel& model,
                                                std::span<const Source> sources,
                                                std::span<const Tokens> prefixes,
                                                const BatchedSearch& options, ThreadPool& pool) {
  if (!prefixes.empty() && prefixes.size() != sources.size()) {
    fail_usage("wanted a prefix for each of {} sources, found {}", sources.size(), prefixes.size());
  }
  std::vector<int64_t> lengths;
  for (const Source& source : sources) lengths.push_back(static_cast<int64_t>(source.tokens.size()));
  std::vector<std::vector<Hypothesis>> results(sources.size());
  const int64_t hypotheses = options.sampling ? options.sampling->samples : options.search.beam;
  run_batches(lengths, budget_of(options, hypotheses), pool, [&](const Batch& batch) {
    const std::vector<Source> some = pick(sources, batch);
    const std::vector<Tokens> begins = pick(prefixes, batch);
    auto found = options.sampling ? search::sample(model, {some, begins}, options.search, *options.sampling)
                                  : search::beam_search(model, some, options.search, begins);
    for (size_t i = 0; i < batch.size(); ++i) results[batch[i]] = std::move(found[i]);
  });
  return results;
}

std::vector<Hypothesis> score_all(const search::NextTokenModel& model, std::span<const Source> sources,
                                  std::span<const Tokens> targets, const BatchedSearch& options,
                                  ThreadPool& pool) {
  if (targets.size() != sources.size()) {
    fail_usage("wanted a target for each of {} sources, found {}", sources.size(), targets.size());
  }
  std::vector<int64_t> lengths;
  for (size_t i = 0; i < sources.size(); ++i) {
    lengths.push_back(static_cast<int64_t>(std::max(sources[i].tokens.size(), targets[i].size())));
  }
  std::vector<Hypothesis> results(sources.size());
  run_batches(lengths, budget_of(options, 1), pool, [&](const Batch& batch) {
    const std::vector<Source> some = pick(sources, batch);
    auto scored = search::score_targets(model, some, pick(targets, batch), options.search);
    for (size_t i = 0; i < batch.size(); ++i) results[batch[i]] = std::move(scored[i]);
  });
  return results;
}

}  // namespace megin::runtime
