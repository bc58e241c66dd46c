#include "search/beam_search.h"

#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"
#include "search/toy_models.h"

namespace megin::search {
namespace {

using Row = std::vector<double>;

const std::vector<Source> kOneSource = {{.tokens = {7, 8, kEnd}, .sentence = 0}};

SearchOptions options_with(int64_t beam, int64_t nbest = 1) {
  SearchOptions options;
  options.beam = beam;
  options.nbest = nbest;
  return options;
}

std::vector<Hypothesis> search_one(const NextTokenModel& model, const SearchOptions& options,
                                   Tokens prefix = {}) {
  const std::vector<Tokens> prefixes = {std::move(prefix)};
  return beam_search(model, kOneSource, options, prefixes).front();
}

// <s>, pad, end, unknown, a, b.
//   first: a .6, b .4;  after a: a .3, b .3, end .4;  after b: a .05, b .05, end .9
ToyModel garden_path() {
  return ToyModel(6, 20, [](const Source&, const Tokens& history) -> Row {
    if (history.empty()) return {0, 0, 0, 0, .6, .4};
    if (history.back() == kA) return {0, 0, .4, 0, .3, .3};
    return {0, 0, .9, 0, .05, .05};
  });
}

TEST(BeamSearch, GreedyFollowsTheBestFirstToken) {
  const Hypothesis best = search_one(garden_path(), options_with(1)).front();
  EXPECT_EQ(best.tokens, (Tokens{kA, kEnd}));
  EXPECT_NEAR(best.log_probability, std::log(.6 * .4), 1e-6);
}

TEST(BeamSearch, ABeamOfTwoFindsTheBetterSentence) {
  SearchOptions options = options_with(2, 2);
  const std::vector<Hypothesis> best = search_one(garden_path(), options);
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0].tokens, (Tokens{kB, kEnd}));
  EXPECT_NEAR(best[0].log_probability, std::log(.4 * .9), 1e-6);
  EXPECT_NEAR(best[0].score, std::log(.4 * .9) / 2, 1e-6) << "fairseq: length 2, the end mark counts";
  EXPECT_NEAR(best[0].token_log_probabilities.at(0), std::log(.4), 1e-6);
  EXPECT_NEAR(best[0].token_log_probabilities.at(1), std::log(.9), 1e-6);
  EXPECT_EQ(best[1].tokens, (Tokens{kA, kEnd}));
  EXPECT_NEAR(best[1].score, std::log(.6 * .4) / 2, 1e-6);
}

TEST(BeamSearch, OnlyTheNBestAreReturned) {
  EXPECT_EQ(search_one(garden_path(), options_with(4, 3)).size(), 3U);
}

TEST(BeamSearch, AnEndMarkBelowTheBestBeamDoesNotCount) {
  // Second step, of a .6 and b .4: b-a .36, a-a .30, a-b .21, a-end .09: the end mark is fourth. Later end
  // marks have .01, so "a end" would have won had it counted.
  const ToyModel model(6, 20, [](const Source&, const Tokens& history) -> Row {
    if (history.empty()) return {0, 0, 0, 0, .6, .4};
    if (history.size() > 1) return {0, 0, .01, 0, .98, .01};
    if (history.back() == kA) return {0, 0, .15, 0, .5, .35};
    return {0, 0, .1, 0, .9, 0};
  });
  SearchOptions options = options_with(2, 2);
  options.max_length_extra = 2;
  const std::vector<Hypothesis> best = search_one(model, options);
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0].tokens, (Tokens{kB, kA, kEnd}));
  EXPECT_NEAR(best[0].log_probability, std::log(.36 * .01), 1e-6);
  EXPECT_EQ(best[1].tokens, (Tokens{kA, kA, kEnd}));
}

TEST(BeamSearch, AFinishedHypothesisLeavesItsPlaceToTheNextBest) {
  // Second step: a-end .48 finishes; b-a .30 and b-b .10 (not only one of them) continue.
  const ToyModel model(6, 20, [](const Source&, const Tokens& history) -> Row {
    if (history.empty()) return {0, 0, 0, 0, .6, .4};
    if (history == Tokens{kA}) return {0, 0, .8, 0, .1, .1};
    if (history == Tokens{kB}) return {0, 0, 0, 0, .75, .25};
    return {0, 0, history.back() == kB ? 1.0 : .1, 0, history.back() == kB ? 0 : .9, 0};
  });
  SearchOptions options = options_with(2, 2);
  options.length_penalty = LengthPenalty::kNone;
  const std::vector<Hypothesis> best = search_one(model, options);
  ASSERT_EQ(best.size(), 2U);
  EXPECT_EQ(best[0].tokens, (Tokens{kA, kEnd}));
  EXPECT_EQ(best[1].tokens, (Tokens{kB, kB, kEnd}));
  EXPECT_NEAR(best[1].log_probability, std::log(.1), 1e-6);
}

TEST(BeamSearch, TheEndMarkIsForbiddenAsTheFirstToken) {
  const ToyModel model(6, 20, [](const Source&, const Tokens&) -> Row { return {0, 0, .9, 0, .1, 0}; });
  for (const int64_t beam : {1, 3}) {
    EXPECT_EQ(search_one(model, options_with(beam)).front().tokens, (Tokens{kA, kEnd}));
  }
}

TEST(BeamSearch, TheEndMarkIsForcedAtTheLengthLimit) {
  const ToyModel model(6, 20, [](const Source&, const Tokens&) -> Row { return {0, 0, .01, 0, .59, .4}; });
  SearchOptions options;
  options.max_length_extra = 3;
  for (options.beam = 1; options.beam <= 2; ++options.beam) {
    const Hypothesis best = search_one(model, options).front();
    EXPECT_EQ(best.tokens, (Tokens{kA, kA, kA, kEnd}));
    EXPECT_NEAR(best.log_probability, 3 * std::log(.59) + std::log(.01), 1e-5);
  }
}

TEST(BeamSearch, PadIsNeverProduced) {
  const ToyModel model(6, 20, [](const Source&, const Tokens&) -> Row { return {0, .8, .05, 0, .15, 0}; });
  SearchOptions options;
  options.max_length_extra = 4;
  for (options.beam = 1; options.beam <= 3; ++options.beam) {
    const Hypothesis best = search_one(model, options).front();
    for (const int32_t token : best.tokens) EXPECT_NE(token, kPad);
  }
}

TEST(BeamSearch, TheUnknownSymbolIsAllowedUnlessSaidOtherwise) {
  const ToyModel model(6, 20, [](const Source&, const Tokens& history) -> Row {
    return history.empty() ? Row{0, 0, 0, .7, .3, 0} : Row{0, 0, 1, 0, 0, 0};
  });
  for (const int64_t beam : {1, 2}) {
    SearchOptions options = options_with(beam);
    EXPECT_EQ(search_one(model, options).front().tokens, (Tokens{kUnknown, kEnd}));
    options.allow_unknown = false;
    EXPECT_EQ(search_one(model, options).front().tokens, (Tokens{kA, kEnd}));
  }
}

TEST(BeamSearch, EqualScoresGoToTheLowerTokenThenTheBetterBeam) {
  // All of <s>, end, unknown, a, b are equal everywhere. Greedy takes token 0 to the limit. A beam of 2 keeps
  // 0 and 3 first, then 0-0 and 3-0: token 0 of both goes before any other token.
  const ToyModel model(6, 20, [](const Source&, const Tokens&) -> Row { return {.2, 0, .2, .2, .2, .2}; });
  SearchOptions options;
  options.max_length_extra = 3;
  options.beam = 1;
  EXPECT_EQ(search_one(model, options).front().tokens, (Tokens{0, 0, 0, kEnd}));
  options.beam = options.nbest = 2;
  const std::vector<Hypothesis> best = search_one(model, options);
  EXPECT_EQ(best.at(0).tokens, (Tokens{0, 0, 0, kEnd}));
  EXPECT_EQ(best.at(1).tokens, (Tokens{3, 0, 0, kEnd}));
}

TEST(BeamSearch, APrefixIsForcedAndCounted) {
  for (const int64_t beam : {1, 2}) {
    const Hypothesis best = search_one(garden_path(), options_with(beam), {kA, kB}).front();
    EXPECT_EQ(best.tokens, (Tokens{kA, kB, kEnd}));
    EXPECT_NEAR(best.log_probability, std::log(.6 * .3 * .9), 1e-6);
  }
}

TEST(BeamSearch, TheWholeBeamGrowsOutOfAPrefix) {
  const std::vector<Hypothesis> best = search_one(garden_path(), options_with(3, 3), {kA});
  ASSERT_EQ(best.size(), 3U);
  for (const Hypothesis& hypothesis : best) EXPECT_EQ(hypothesis.tokens.front(), kA);
  EXPECT_EQ(best.front().tokens, (Tokens{kA, kB, kEnd})) << "ln(.162) / 3 is above ln(.24) / 2";
}

TEST(BeamSearch, APrefixThatCannotBeIsAUsageError) {
  const SearchOptions options = options_with(2);
  EXPECT_THROW(search_one(garden_path(), options, {kEnd}), UsageError);
  EXPECT_THROW(search_one(garden_path(), options, {kPad}), UsageError);
  EXPECT_THROW(search_one(garden_path(), options, {6}), UsageError);
  EXPECT_THROW(search_one(garden_path(), options, Tokens(20, kA)), UsageError);
  const std::vector<Tokens> two(2);
  EXPECT_THROW(beam_search(garden_path(), kOneSource, options, two), UsageError);
}

TEST(BeamSearch, AModelOfNaNIsAnErrorThatSaysSo) {
  const ToyModel model(6, 20, [](const Source&, const Tokens&) -> Row { return Row(6, std::nan("")); });
  for (const int64_t beam : {1, 2}) {
    try {
      search_one(model, options_with(beam));
      FAIL() << "wanted an error";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("NaN"), std::string::npos) << error.what();
    }
  }
}

TEST(BeamSearch, NoSourcesGiveNoResults) {
  EXPECT_TRUE(beam_search(garden_path(), {}, options_with(3)).empty());
  EXPECT_TRUE(beam_search(garden_path(), {}, options_with(1)).empty());
}

void expect_same(const std::vector<Hypothesis>& one, const std::vector<Hypothesis>& other) {
  ASSERT_EQ(one.size(), other.size());
  for (size_t i = 0; i < one.size(); ++i) {
    EXPECT_EQ(one[i].tokens, other[i].tokens);
    EXPECT_EQ(one[i].score, other[i].score);
    EXPECT_EQ(one[i].token_log_probabilities, other[i].token_log_probabilities);
  }
}

// Exact equality: nothing about a sentence may depend on its neighbours.
TEST(BeamSearch, OutputsDoNotDependOnTheBatch) {
  const ToyModel model(50, 12, hashed_distribution(3, 50));
  const std::vector<Source> sources = toy_sources(9);
  SearchOptions options;
  options.max_length_ratio = 2;
  options.max_length_extra = 1;
  for (const int64_t beam : {1, 2, 5}) {
    options.beam = options.nbest = beam;
    const auto together = beam_search(model, sources, options);
    const std::vector<Source> reversed(sources.rbegin(), sources.rend());
    const auto backwards = beam_search(model, reversed, options);
    for (size_t i = 0; i < sources.size(); ++i) {
      expect_same(together[i], beam_search(model, std::span(&sources[i], 1), options).front());
      expect_same(together[i], backwards[sources.size() - 1 - i]);
    }
  }
}

}  // namespace
}  // namespace megin::search
