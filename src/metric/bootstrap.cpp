#include "metric/bootstrap.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "base/random.h"

namespace megin::metric {
namespace {

double mean(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

// The score of each resampled corpus.
std::vector<double> resample(const Corpus& corpus, size_t samples, const Draw& draw) {
  std::vector<double> scores;
  std::vector<double> totals(corpus.metric().columns());
  for (size_t sample = 0; sample < samples; ++sample) {
    std::fill(totals.begin(), totals.end(), 0.0);
    for (size_t position = 0; position < corpus.size(); ++position) {
      const std::span<const double> segment = corpus.segment(draw(sample, position));
      for (size_t i = 0; i < totals.size(); ++i) totals[i] += segment[i];
    }
    scores.push_back(corpus.metric().value(totals));
  }
  return scores;
}

Resampled summary(const Corpus& corpus, std::vector<double> scores, const BootstrapOptions& options) {
  Resampled result{corpus.score(), mean(scores), 0};
  result.score.signature =
      fmt::format("nrefs:{}|bs:{}|seed:{}|{}|version:{}", corpus.reference_count(), options.samples,
                  options.seed, corpus.metric().settings(), kSacrebleuVersion);
  std::sort(scores.begin(), scores.end());
  const size_t outside = scores.size() / 40;
  result.half_width = 0.5 * (scores[scores.size() - outside - 1] - scores[outside]);
  return result;
}

double p_value(const std::vector<double>& baseline, const std::vector<double>& system,
               double real_difference) {
  std::vector<double> differences;
  for (size_t i = 0; i < baseline.size(); ++i) differences.push_back(std::abs(system[i] - baseline[i]));
  const double centre = mean(differences);
  const auto beyond = std::count_if(differences.begin(), differences.end(),
                                    [&](double d) { return d - centre > real_difference; });
  return static_cast<double>(beyond + 1) / static_cast<double>(differences.size() + 1);
}

void check(const Corpus& baseline, const Corpus& system, const BootstrapOptions& options) {
  if (options.samples == 0) fail_usage("the bootstrap wants at least 1 sample, found 0");
  if (baseline.size() != system.size() || baseline.metric().settings() != system.metric().settings() ||
      baseline.metric().name() != system.metric().name()) {
    fail_usage(
        "the paired bootstrap wants the same metric and segments twice, found {} ({}, {} segments) and {} "
        "({}, {} "
        "segments)",
        baseline.metric().name(), baseline.metric().settings(), baseline.size(), system.metric().name(),
        system.metric().settings(), system.size());
  }
}

}  // namespace

Draw hashed_draw(uint64_t seed, size_t segments) {
  return [seed, segments](size_t sample, size_t position) {
    return draw_index(draw_key(seed, Purpose::kBootstrap, {sample}), position, segments);
  };
}

PairedTest paired_bootstrap(const Corpus& baseline, const Corpus& system, const BootstrapOptions& options) {
  return paired_bootstrap(baseline, system, options, hashed_draw(options.seed, baseline.size()));
}

PairedTest paired_bootstrap(const Corpus& baseline, const Corpus& system, const BootstrapOptions& options,
                            const Draw& draw) {
  check(baseline, system, options);
  const std::vector<double> baseline_scores = resample(baseline, options.samples, draw);
  const std::vector<double> system_scores = resample(system, options.samples, draw);
  PairedTest test{summary(baseline, baseline_scores, options), summary(system, system_scores, options), 1};
  test.p_value =
      p_value(baseline_scores, system_scores, std::abs(test.baseline.score.value - test.system.score.value));
  return test;
}

}  // namespace megin::metric
