#include "search/sampling.h"

#include <gtest/gtest.h>

#include <map>

#include "base/error.h"
#include "search/toy_models.h"

namespace megin::search {
namespace {

// First token: <s> .1, unknown .2, a .4, b .3; then the end.
ToyModel one_word() {
  return ToyModel(6, 20, [](const Source&, const Tokens& history) -> std::vector<double> {
    if (history.empty()) return {.1, 0, 0, .2, .4, .3};
    return {0, 0, 1, 0, 0, 0};
  });
}

// How often each first token comes in 20,000 samples.
std::map<int32_t, double> counts(const SamplingOptions& sampling) {
  const std::vector<Source> sources = toy_sources(20'000 / static_cast<size_t>(sampling.samples));
  std::map<int32_t, double> result;
  for (const auto& samples : sample(one_word(), {.sources = sources, .prefixes = {}}, {}, sampling)) {
    for (const Hypothesis& one : samples) ++result[one.tokens.front()];
  }
  return result;
}

double chi_square(const std::map<int32_t, double>& counted, const std::map<int32_t, double>& probabilities) {
  double sum = 0;
  for (const auto& [token, probability] : probabilities) {
    const double wanted = 20'000 * probability;
    const double found = counted.contains(token) ? counted.at(token) : 0;
    sum += (found - wanted) * (found - wanted) / wanted;
  }
  return sum;
}

TEST(Sampling, DrawsFromTheModelsDistribution) {
  for (const int64_t samples : {1, 10}) {
    const auto counted = counts({.seed = 5, .samples = samples});
    // 16.27: 3 degrees of freedom, 1 in 1000.
    EXPECT_LT(chi_square(counted, {{0, .1}, {kUnknown, .2}, {kA, .4}, {kB, .3}}), 16.27);
    EXPECT_EQ(counted.size(), 4U);
  }
}

TEST(Sampling, TemperatureRaisesProbabilitiesToAPower) {
  // At 0.5: squares .01, .04, .16, .09, of sum .30.
  const auto counted = counts({.seed = 6, .temperature = 0.5});
  EXPECT_LT(chi_square(counted, {{0, .01 / .3}, {kUnknown, .04 / .3}, {kA, .16 / .3}, {kB, .09 / .3}}),
            16.27);
}

TEST(Sampling, TopKKeepsTheLikeliest) {
  const auto counted = counts({.seed = 7, .top_k = 2});
  EXPECT_EQ(counted.size(), 2U);
  EXPECT_LT(chi_square(counted, {{kA, .4 / .7}, {kB, .3 / .7}}), 10.83) << "1 degree of freedom, 1 in 1000";
}

TEST(Sampling, TopPKeepsTheFewestThatReachIt) {
  // .4 + .3 is the first sum of at least .65.
  const auto counted = counts({.seed = 8, .top_p = 0.65});
  EXPECT_EQ(counted.size(), 2U);
  EXPECT_LT(chi_square(counted, {{kA, .4 / .7}, {kB, .3 / .7}}), 10.83);
  EXPECT_EQ(counts({.seed = 8, .top_p = 0.3}).size(), 1U);
}

TEST(Sampling, AUniformNumberPicksByCumulativeProbability) {
  const std::vector<float> log_probs = {std::log(.25F), -INFINITY, std::log(.5F), std::log(.25F)};
  EXPECT_EQ(sample_token(log_probs, {}, 0.0), 0);
  EXPECT_EQ(sample_token(log_probs, {}, 0.24), 0);
  EXPECT_EQ(sample_token(log_probs, {}, 0.26), 2);
  EXPECT_EQ(sample_token(log_probs, {}, 0.74), 2);
  EXPECT_EQ(sample_token(log_probs, {}, 0.76), 3);
  EXPECT_EQ(sample_token(log_probs, {}, 0.9999999999999999), 3);
  EXPECT_THROW(sample_token(std::vector<float>(3, -INFINITY), {}, 0.5), Error);
}

TEST(Sampling, ReportsTheModelsOwnLogProbabilities) {
  const std::vector<Source> sources = toy_sources(1);
  const auto samples =
      sample(one_word(), {.sources = sources, .prefixes = {}}, {}, {.temperature = 0.3, .top_k = 1}).front();
  EXPECT_EQ(samples.front().tokens, (Tokens{kA, kEnd}));
  EXPECT_NEAR(samples.front().log_probability, std::log(.4), 1e-6);
}

TEST(Sampling, OutputsDependOnTheSentencesNumberOnly) {
  const ToyModel model(30, 15, hashed_distribution(4, 30));
  const std::vector<Source> sources = toy_sources(8);
  const SamplingOptions sampling{.seed = 3, .samples = 3};
  const auto together = sample(model, {.sources = sources, .prefixes = {}}, {}, sampling);
  const std::vector<Source> reversed(sources.rbegin(), sources.rend());
  const auto backwards = sample(model, {.sources = reversed, .prefixes = {}}, {}, sampling);
  for (size_t i = 0; i < sources.size(); ++i) {
    for (size_t n = 0; n < 3; ++n) {
      EXPECT_EQ(together[i][n].tokens, backwards[sources.size() - 1 - i][n].tokens);
      EXPECT_EQ(together[i][n].score, backwards[sources.size() - 1 - i][n].score);
    }
    EXPECT_NE(together[i][0].tokens, together[i][1].tokens);
  }
  EXPECT_NE(together[0][0].tokens,
            sample(model, {.sources = sources, .prefixes = {}}, {}, {.seed = 4}).front().front().tokens);
}

TEST(Sampling, APrefixIsForced) {
  const ToyModel model(30, 15, hashed_distribution(4, 30));
  const std::vector<Source> sources = toy_sources(2);
  const std::vector<Tokens> prefixes = {{7, 8}, {}};
  const auto samples = sample(model, {.sources = sources, .prefixes = prefixes}, {}, {.samples = 4});
  for (const Hypothesis& one : samples[0]) {
    ASSERT_GE(one.tokens.size(), 3U);
    EXPECT_EQ(one.tokens[0], 7);
    EXPECT_EQ(one.tokens[1], 8);
  }
}

TEST(Sampling, OptionsThatCannotBeAreUsageErrors) {
  const std::vector<Source> sources = toy_sources(1);
  for (const SamplingOptions& wrong :
       {SamplingOptions{.temperature = 0}, SamplingOptions{.top_k = -1}, SamplingOptions{.top_p = 0},
        SamplingOptions{.top_p = 1.5}, SamplingOptions{.samples = 0}}) {
    EXPECT_THROW(sample(one_word(), {.sources = sources, .prefixes = {}}, {}, wrong), UsageError);
  }
}

}  // namespace
}  // namespace megin::search
