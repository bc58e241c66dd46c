// Beam search against two slow twins: the enumeration of every output, and the rules of fairseq's search
// written down with nothing but full sorts.
#include <gtest/gtest.h>

#include <algorithm>

#include "search/beam_search.h"
#include "search/toy_models.h"

namespace megin::search {
namespace {

struct Output {
  Tokens tokens;
  double log_probability = 0;
  double score = 0;
};

double score_by_hand(double log_probability, size_t length, const SearchOptions& options) {
  const auto tokens = static_cast<double>(length);
  if (options.length_penalty == LengthPenalty::kFairseq)
    return log_probability / std::pow(tokens, options.alpha);
  if (options.length_penalty == LengthPenalty::kGnmt) {
    return log_probability * std::pow(6, options.alpha) / std::pow(5 + tokens, options.alpha);
  }
  return log_probability;
}

// Every output of at most `limit` tokens before its end mark.
void enumerate(const Distribution& next, const Source& source, const SearchOptions& options,
               const Output& so_far, std::vector<Output>& all) {
  const std::vector<double> probabilities = next(source, so_far.tokens);
  const bool at_limit = static_cast<int64_t>(so_far.tokens.size()) == options.max_length_extra;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const auto token = static_cast<int32_t>(i);
    if (token == kPad || (token == kEnd && so_far.tokens.empty()) || (token != kEnd && at_limit)) continue;
    Output output = so_far;
    output.tokens.push_back(token);
    output.log_probability += std::log(probabilities[i]);
    if (token == kEnd) {
      output.score = score_by_hand(output.log_probability, output.tokens.size(), options);
      all.push_back(output);
    } else {
      enumerate(next, source, options, output, all);
    }
  }
}

TEST(BeamSearch, AVeryWideBeamFindsEveryOutputInOrderOfItsScore) {
  // Tokens 0, 3, 4, 5 and at most 4 of them: 4 + 16 + 64 + 256 = 340 outputs.
  SearchOptions options;
  options.beam = options.nbest = 400;
  options.max_length_extra = 4;
  for (const auto& [penalty, alpha] : {std::pair(LengthPenalty::kFairseq, 1.0),
                                       {LengthPenalty::kFairseq, 0.6},
                                       {LengthPenalty::kGnmt, 0.9},
                                       {LengthPenalty::kNone, 1.0}}) {
    options.length_penalty = penalty;
    options.alpha = alpha;
    const Distribution next = hashed_distribution(11, 6);
    const std::vector<Source> sources = toy_sources(3);
    const auto found = beam_search(ToyModel(6, 20, next), sources, options);
    for (size_t s = 0; s < sources.size(); ++s) {
      std::vector<Output> all;
      enumerate(next, sources[s], options, {}, all);
      std::ranges::sort(all, std::greater<>(), &Output::score);
      ASSERT_EQ(all.size(), 340U);
      ASSERT_EQ(found[s].size(), 340U);
      for (size_t i = 0; i < all.size(); ++i) {
        EXPECT_EQ(found[s][i].tokens, all[i].tokens) << "place " << i;
        EXPECT_NEAR(found[s][i].score, all[i].score, 1e-5);
        EXPECT_NEAR(found[s][i].log_probability, all[i].log_probability, 1e-5);
      }
    }
  }
}

// thor spec 4.6, line by line, over the same fp32 log-probabilities.
std::vector<Output> plain_beam_search(const Distribution& next, const Source& source,
                                      const SearchOptions& options) {
  const auto beam = static_cast<size_t>(options.beam);
  std::vector<Output> live = {{}};
  std::vector<Output> finished;
  for (int64_t step = 0; finished.size() < beam && !live.empty(); ++step) {
    std::vector<Output> candidates;
    for (const Output& hypothesis : live) {
      const std::vector<double> probabilities = next(source, hypothesis.tokens);
      for (size_t i = 0; i < probabilities.size(); ++i) {
        const auto token = static_cast<int32_t>(i);
        if (token == kPad || (token == kEnd && step == 0)) continue;
        if (token != kEnd && step == options.max_length_extra) continue;
        Output longer = hypothesis;
        longer.tokens.push_back(token);
        longer.log_probability += static_cast<float>(std::log(probabilities[i]));
        candidates.push_back(longer);
      }
    }
    std::ranges::sort(candidates, std::greater<>(), &Output::log_probability);
    candidates.resize(std::min(candidates.size(), 2 * beam));
    live.clear();
    for (size_t rank = 0; rank < candidates.size(); ++rank) {
      if (candidates[rank].tokens.back() != kEnd) {
        if (live.size() < beam) live.push_back(candidates[rank]);
      } else if (rank < beam && finished.size() < beam) {
        finished.push_back(candidates[rank]);
      }
    }
  }
  for (Output& output : finished) {
    output.score = score_by_hand(output.log_probability, output.tokens.size(), options);
  }
  std::ranges::stable_sort(finished, std::greater<>(), &Output::score);
  return finished;
}

TEST(BeamSearch, FollowsTheRulesOfFairseqOnRandomModels) {
  const std::vector<Source> sources = toy_sources(5);
  int64_t checked = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const int64_t vocabulary = 6 + static_cast<int64_t>(draw_index(seed, 0, 300));
    const Distribution next = hashed_distribution(seed, vocabulary);
    SearchOptions options;
    options.beam = options.nbest = 1 + static_cast<int64_t>(draw_index(seed, 1, 7));
    options.max_length_extra = 1 + static_cast<int64_t>(draw_index(seed, 2, 9));
    options.alpha = 2 * draw_uniform(seed, 3);
    const auto found = beam_search(ToyModel(vocabulary, 20, next), sources, options);
    for (size_t s = 0; s < sources.size(); ++s) {
      const std::vector<Output> wanted = plain_beam_search(next, sources[s], options);
      ASSERT_EQ(found[s].size(), wanted.size());
      for (size_t i = 0; i < wanted.size(); ++i, ++checked) {
        EXPECT_EQ(found[s][i].tokens, wanted[i].tokens)
            << "seed " << seed << ", sentence " << s << ", place " << i;
        EXPECT_NEAR(found[s][i].score, wanted[i].score, 1e-9);
      }
    }
  }
  EXPECT_GT(checked, 500);
}

}  // namespace
}  // namespace megin::search
