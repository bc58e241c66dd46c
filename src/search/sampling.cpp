#include "search/sampling.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "search/decoding.h"
#include "search/path_decoding.h"
#include "search/top_candidates.h"

namespace megin::search {
namespace {

constexpr int32_t kNoToken = -1;

void check(const SamplingOptions& options) {
  if (!std::isfinite(options.temperature) || options.temperature <= 0) {
    fail_usage("sampling: wanted a temperature above 0, found {}", options.temperature);
  }
  if (options.top_k < 0) fail_usage("sampling: wanted top_k of at least 0, found {}", options.top_k);
  if (!(options.top_p > 0 && options.top_p <= 1)) {
    fail_usage("sampling: wanted top_p above 0 and at most 1, found {}", options.top_p);
  }
  if (options.samples < 1) fail_usage("sampling: wanted at least 1 sample, found {}", options.samples);
}

// Chooses tokens; keeps its buffers between rows.
class Sampler {
 public:
  explicit Sampler(const SamplingOptions& options) : options_(options) {}

  int32_t choose(std::span<const float> log_probs, double uniform) {
    double total = weigh(log_probs);
    if (options_.top_p < 1) total = keep_nucleus(total);
    double left = uniform * total;
    int32_t chosen = kNoToken;
    for (const Weighted& candidate : candidates_) {
      if (candidate.weight <= 0) continue;
      chosen = candidate.token;
      left -= candidate.weight;
      if (left < 0) break;
    }
    return chosen;
  }

 private:
  struct Weighted {
    double weight;  // tempered probability up to a common factor
    int32_t token;
  };

  // Fills candidates_ with the top_k (or all possible) tokens; returns their total weight.
  double weigh(std::span<const float> log_probs) {
    candidates_.clear();
    if (options_.top_k > 0) {
      for (const Candidate& c : top_.find(log_probs, static_cast<size_t>(options_.top_k))) {
        candidates_.push_back({c.log_prob, c.token});
      }
    } else {
      for (size_t i = 0; i < log_probs.size(); ++i) {
        if (log_probs[i] > -HUGE_VALF) candidates_.push_back({log_probs[i], static_cast<int32_t>(i)});
      }
    }
    double largest = -HUGE_VAL;
    for (const Weighted& candidate : candidates_) largest = std::max(largest, candidate.weight);
    double total = 0;
    for (Weighted& candidate : candidates_) {
      candidate.weight = std::exp((candidate.weight - largest) / options_.temperature);
      total += candidate.weight;
    }
    return total;
  }

  // Keeps the fewest likeliest candidates whose weights reach top_p of the total; returns what they weigh.
  double keep_nucleus(double total) {
    const auto worse = [](const Weighted& a, const Weighted& b) {
      return a.weight != b.weight ? a.weight < b.weight : a.token > b.token;
    };
    // A heap, because a few candidates out of many usually reach it.
    std::ranges::make_heap(candidates_, worse);
    double kept = 0;
    auto rest = candidates_.end();
    while (rest != candidates_.begin() && kept < options_.top_p * total) {
      std::pop_heap(candidates_.begin(), rest, worse);
      --rest;
      kept += rest->weight;
    }
    candidates_.erase(candidates_.begin(), rest);
    return kept;
  }

  const SamplingOptions& options_;
  TopCandidates top_;
  std::vector<Weighted> candidates_;
};

}  // namespace

int32_t sample_token(std::span<const float> log_probs, const SamplingOptions& options, double uniform) {
  check(options);
  const int32_t token = Sampler(options).choose(log_probs, uniform);
  if (token == kNoToken) fail("sampling: no token has a probability");
  return token;
}

std::vector<std::vector<Hypothesis>> sample(const NextTokenModel& model, const SamplingRequest& request,
                                            const SearchOptions& options, const SamplingOptions& sampling) {
  check(options, model);
  check(sampling);
  check_prefixes(model, request.sources, options, request.prefixes);
  std::vector<Path> paths = make_paths(model, request.sources, options, sampling.samples);
  if (!request.prefixes.empty()) {
    for (Path& path : paths) path.forced = request.prefixes[path.source];
  }

  Sampler sampler(sampling);
  const auto choose = [&](const Path& path, std::span<const float> log_probs) {
    const uint64_t key =
        draw_key(sampling.seed, Purpose::kSampling, {path.sentence, static_cast<uint64_t>(path.number)});
    const size_t position = path.output.tokens.size();
    const int32_t token = sampler.choose(log_probs, draw_uniform(key, position));
    if (token == kNoToken) fail_without_probabilities(path.sentence, position);
    return token;
  };
  decode_paths(model, request.sources, paths, {.options = options, .choose = choose});

  std::vector<std::vector<Hypothesis>> results(request.sources.size());
  for (Path& path : paths) results[path.source].push_back(std::move(path.output));
  return results;
}

}  // namespace megin::search
