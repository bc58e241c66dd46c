#include "search/forced_decoding.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "search/toy_models.h"

namespace megin::search {
namespace {

TEST(ForcedDecoding, AddsTheLogProbabilitiesOfTheGivenTokens) {
  const ToyModel model(6, 20, [](const Source&, const Tokens& history) -> std::vector<double> {
    if (history.empty()) return {0, 0, .1, 0, .6, .3};
    return {0, 0, .5, 0, .25, .25};
  });
  const std::vector<Source> sources = toy_sources(4);
  const std::vector<Tokens> targets = {{kA, kB, kEnd}, {kEnd}, {}, {kB}};
  const std::vector<Hypothesis> scored = score_targets(model, sources, targets, {});
  ASSERT_EQ(scored.size(), 4U);
  EXPECT_EQ(scored[0].tokens, targets[0]);
  EXPECT_NEAR(scored[0].log_probability, std::log(.6 * .25 * .5), 1e-6);
  EXPECT_NEAR(scored[0].score, std::log(.6 * .25 * .5) / 3, 1e-6);
  EXPECT_NEAR(scored[0].token_log_probabilities.at(1), std::log(.25), 1e-6);
  EXPECT_NEAR(scored[1].log_probability, std::log(.1), 1e-6)
      << "an end mark as the first token can be scored";
  EXPECT_EQ(scored[2].log_probability, 0);
  EXPECT_EQ(scored[2].score, 0);
  EXPECT_NEAR(scored[3].log_probability, std::log(.3), 1e-6);
}

// A text that goes on is begun by the token before it: the toy model checks what it is fed first.
TEST(ForcedDecoding, FeedsTheSourcesOwnBeginning) {
  const ToyModel model(40, 12, hashed_distribution(9, 40));
  std::vector<Source> sources = toy_sources(3);
  sources[1].begin = kB;
  const std::vector<Tokens> targets = {{kA, kB}, {kB}, {kEnd}};
  EXPECT_EQ(score_targets(model, sources, targets, {}).size(), 3U);
}

TEST(ForcedDecoding, GivesSearchResultsTheirOwnScores) {
  const ToyModel model(40, 12, hashed_distribution(9, 40));
  const std::vector<Source> sources = toy_sources(6);
  SearchOptions options;
  options.beam = 3;
  std::vector<Tokens> targets;
  std::vector<Hypothesis> best;
  for (auto& nbest : beam_search(model, sources, options)) {
    targets.push_back(nbest.front().tokens);
    best.push_back(nbest.front());
  }
  const std::vector<Hypothesis> scored = score_targets(model, sources, targets, options);
  for (size_t i = 0; i < best.size(); ++i) {
    EXPECT_EQ(scored[i].token_log_probabilities, best[i].token_log_probabilities);
    EXPECT_EQ(scored[i].score, best[i].score);
  }
}

TEST(ForcedDecoding, TargetsThatCannotBeAreUsageErrors) {
  const ToyModel model(6, 4, hashed_distribution(9, 6));
  const std::vector<Source> sources = toy_sources(1);
  const std::vector<Tokens> outside = {{6}};
  const std::vector<Tokens> too_long = {Tokens(5, kA)};
  EXPECT_THROW(score_targets(model, sources, outside, {}), UsageError);
  EXPECT_THROW(score_targets(model, sources, too_long, {}), UsageError);
  EXPECT_THROW(score_targets(model, sources, {}, {}), UsageError);
}

TEST(ForcedDecoding, ATargetMayBeAsLongAsTheModelReads) {
  const ToyModel model(6, 4, hashed_distribution(9, 6));
  const std::vector<Source> sources = toy_sources(1);
  const std::vector<Tokens> longest = {{kA, kB, kA, kEnd}};
  EXPECT_EQ(score_targets(model, sources, longest, {}).front().tokens.size(), 4U);
}

}  // namespace
}  // namespace megin::search
