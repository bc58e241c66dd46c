#include "routing/auction.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <numeric>
#include <random>

#include "base/error.h"

namespace megin::routing {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using Experts = std::vector<int64_t>;

struct Problem {
  int64_t tokens;
  int64_t experts;
  std::vector<float> scores = {};

  float at(int64_t token, int64_t expert) const { return scores[token * experts + expert]; }
  int64_t places() const { return (tokens + experts - 1) / experts; }
  int64_t blanks() const { return places() * experts - tokens; }
};

// The families differ in how much experts compete: not, for the same tokens by expert, for all of them alike.
enum class Family { kGaussian, kPopularExperts, kSameRanking, kFewDistinctTokens };

Problem draw_problem(int64_t tokens, int64_t experts, Family family, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal;
  Problem problem{tokens, experts};
  problem.scores.resize(tokens * experts);
  std::vector<float> popularity(experts);
  for (float& value : popularity) value = 3 * normal(random);
  for (int64_t token = 0; token < tokens; ++token) {
    const float strength = std::abs(normal(random));
    for (int64_t expert = 0; expert < experts; ++expert) {
      float& score = problem.scores[token * experts + expert];
      score = normal(random);
      if (family == Family::kPopularExperts) score += popularity[expert];
      if (family == Family::kSameRanking) score = 0.1F * score + strength * static_cast<float>(expert);
      if (family == Family::kFewDistinctTokens && token >= 3) score = problem.at(token % 3, expert);
    }
  }
  return problem;
}

AuctionResult solve(const Problem& problem, const AuctionOptions& options = {}) {
  return balanced_assignment(problem.scores, problem.tokens, problem.experts, options);
}

double worth(const Problem& problem, const Experts& experts) {
  return assignment_score(problem.scores, experts, problem.experts);
}

Experts loads_of(const Experts& experts_of_token, int64_t experts) {
  Experts loads(experts);
  for (const int64_t expert : experts_of_token) ++loads.at(expert);
  return loads;
}

void expect_balanced(const Experts& experts_of_token, int64_t tokens, int64_t experts) {
  ASSERT_EQ(static_cast<int64_t>(experts_of_token.size()), tokens);
  for (const int64_t load : loads_of(experts_of_token, experts)) {
    EXPECT_GE(load, tokens / experts);
    EXPECT_LE(load, (tokens + experts - 1) / experts);
  }
}

// The best sum by the Hungarian algorithm with potentials (Kuhn, Munkres; O(n^3)) on the expanded problem: an
// expert is places() columns, and blanks fill the rows up. A blank fits only an expert's first column, so
// that loads are the floor or the ceiling.
double best_worth(const Problem& problem) {
  const int64_t places = problem.places();
  const int64_t n = places * problem.experts;
  const auto cost = [&](int64_t row, int64_t column) -> double {
    if (row < problem.tokens) return -problem.at(row, column / places);
    return column % places == 0 ? 0 : 1e9;
  };
  // Row and column 0 are the algorithm's sentinels.
  std::vector<double> row_potential(n + 1), column_potential(n + 1);
  Experts row_of(n + 1), previous(n + 1);
  for (int64_t row = 1; row <= n; ++row) {
    std::vector<double> slack(n + 1, std::numeric_limits<double>::infinity());
    std::vector<char> used(n + 1, 0);
    row_of[0] = row;
    int64_t column = 0;
    while (row_of[column] != 0) {
      used[column] = 1;
      const int64_t current = row_of[column];
      int64_t nearest = 0;
      double step = std::numeric_limits<double>::infinity();
      for (int64_t j = 1; j <= n; ++j) {
        if (used[j]) continue;
        const double reduced = cost(current - 1, j - 1) - row_potential[current] - column_potential[j];
        if (reduced < slack[j]) {
          slack[j] = reduced;
          previous[j] = column;
        }
        if (slack[j] < step) {
          step = slack[j];
          nearest = j;
        }
      }
      for (int64_t j = 0; j <= n; ++j) {
        if (used[j]) {
          row_potential[row_of[j]] += step;
          column_potential[j] -= step;
        } else {
          slack[j] -= step;
        }
      }
      column = nearest;
    }
    while (column != 0) {
      row_of[column] = row_of[previous[column]];
      column = previous[column];
    }
  }
  double sum = 0;
  for (int64_t column = 1; column <= n; ++column) {
    if (row_of[column] <= problem.tokens) sum -= cost(row_of[column] - 1, column - 1);
  }
  return sum;
}

// The same by trying all experts^tokens assignments.
double best_worth_by_enumeration(const Problem& problem) {
  Experts experts(problem.tokens, 0);
  double best = -std::numeric_limits<double>::infinity();
  while (true) {
    const Experts loads = loads_of(experts, problem.experts);
    const auto [least, most] = std::minmax_element(loads.begin(), loads.end());
    if (*most - *least <= 1) best = std::max(best, worth(problem, experts));
    int64_t token = 0;
    while (token < problem.tokens && ++experts[token] == problem.experts) experts[token++] = 0;
    if (token == problem.tokens) return best;
  }
}

double increment_of(const Problem& problem) {
  const auto [least, most] = std::minmax_element(problem.scores.begin(), problem.scores.end());
  return std::max((static_cast<double>(*most) - *least) / 50, 1e-4);
}

const std::vector<std::pair<int64_t, int64_t>> kShapes = {
    {1, 2},   {2, 2},   {3, 2},  {7, 2},   {64, 2}, {1, 5},   {4, 5},  {5, 5},
    {6, 5},   {9, 5},   {24, 5}, {64, 4},  {65, 4}, {66, 4},  {67, 4}, {16, 16},
    {17, 16}, {31, 16}, {96, 8}, {100, 8}, {3, 32}, {31, 32}, {33, 32}};
constexpr Family kFamilies[] = {Family::kGaussian, Family::kPopularExperts, Family::kSameRanking,
                                Family::kFewDistinctTokens};

void for_all_problems(const std::function<void(const Problem&, Family)>& check) {
  uint32_t seed = 0;
  for (const auto& [tokens, experts] : kShapes) {
    for (const Family family : kFamilies) {
      SCOPED_TRACE(testing::Message()
                   << tokens << " tokens, " << experts << " experts, family " << static_cast<int>(family));
      check(draw_problem(tokens, experts, family, ++seed), family);
    }
  }
}

// Both experts prefer token 0: 10 and 9 against 8 and 2. eps = (10 - 2) / 50 = 0.16. Round 1: expert 0 bids
// 10 - 8 + 0.16 for token 0, expert 1 bids 9 - 2 + 0.16 and has it at 7.16. Round 2: to expert 0 token 0 is
// worth 2.84 and token 1 is worth 8, which nobody else wants. 9 + 8 is more than 10 + 2.
TEST(Auction, GivesAContestedTokenToWhomTheAlternativeIsWorse) {
  const std::vector<float> scores = {10, 9, 8, 2};
  const AuctionResult result = balanced_assignment(scores, 2, 2);
  EXPECT_EQ(result.experts, (Experts{1, 0}));
  EXPECT_EQ(result.rounds, 2);
  EXPECT_TRUE(result.finished);
  EXPECT_EQ(assignment_score(scores, result.experts, 2), 17);
}

// Three tokens and two experts: one blank. eps = 0.1. Round 1: the blank is worth 5 to both and so is token 0
// to expert 0; the next best are 4 (token 1) and 2 (token 2). Expert 0 bids 1.1 for both. Expert 1 bids for
// the blank and for token 2, of which 0 is the next best: 5.1 and 2.1. Expert 1 has the blank and token 2,
// expert 0 token 0. Round 2: expert 0 takes token 1. 5 + 4 + 2; the best with two tokens for expert 1 is 5 +
// 2 + 0.
TEST(Auction, DecidesWhichExpertHasOneTokenMore) {
  const std::vector<float> scores = {5, 0, 4, 0, 3, 2};
  const AuctionResult result = balanced_assignment(scores, 3, 2);
  EXPECT_EQ(result.experts, (Experts{0, 0, 1}));
  EXPECT_EQ(result.rounds, 2);
  EXPECT_EQ(assignment_score(scores, result.experts, 2), 11);
}

TEST(Auction, ReferenceSolverAgreesWithEnumeration) {
  for (const auto& [tokens, experts] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 3}, {2, 3}, {4, 3}, {5, 3}, {6, 3}, {7, 2}, {8, 2}, {5, 5}}) {
    for (const Family family : kFamilies) {
      const Problem problem = draw_problem(tokens, experts, family, 3);
      EXPECT_NEAR(best_worth(problem), best_worth_by_enumeration(problem), 1e-4);
    }
  }
}

// The bound is the header's. When an expert wins lots they are worth to it the value of the next best less
// eps. What it does not hold becomes cheaper never, what it holds dearer by eps a round. So in the end, by
// prices p: score - p of each lot held >= score - p of each lot not held - rounds * eps. Exchanging all its
// lots for those of the optimum an expert gains places * rounds * eps at most. Summed over experts the prices
// cancel, as both assignments hold every lot, and so do the blanks' scores: optimum - sum <= experts * places
// * rounds * eps. No case needs more than fast_after rounds.
TEST(Auction, IsWithinTheBoundOfTheOptimum) {
  for_all_problems([](const Problem& problem, Family) {
    const AuctionResult result = solve(problem);
    ASSERT_TRUE(result.finished);
    ASSERT_LE(result.rounds, AuctionOptions().fast_after);
    const double loss = best_worth(problem) - worth(problem, result.experts);
    const auto lots = static_cast<double>(problem.tokens + problem.blanks());
    EXPECT_GE(loss, -1e-4);
    EXPECT_LE(loss, static_cast<double>(result.rounds) * increment_of(problem) * lots + 1e-4);
  });
}

// An auction in which holders do not counter is within eps per token. This one is not always, but is where
// experts do not all want the same.
TEST(Auction, LosesLessThanOneIncrementPerTokenOnGaussianScores) {
  for_all_problems([](const Problem& problem, Family family) {
    if (family != Family::kGaussian) return;
    const double loss = best_worth(problem) - worth(problem, solve(problem).experts);
    EXPECT_LE(loss, increment_of(problem) * static_cast<double>(problem.tokens) + 1e-4);
  });
}

// The published steps as they are written: dense bids, and a won token valued above all others. Even counts
// and fewer than fast_after rounds only.
AuctionResult published_auction(const Problem& problem) {
  const int64_t tokens = problem.tokens, experts = problem.experts, places = problem.places();
  std::vector<double> price(tokens, 0);
  Experts winner(tokens, -1);
  for (int64_t round = 1;; ++round) {
    std::vector<std::vector<double>> bids(experts, std::vector<double>(tokens, 0));
    for (int64_t expert = 0; expert < experts; ++expert) {
      std::vector<std::pair<double, int64_t>> ranked(tokens);
      for (int64_t token = 0; token < tokens; ++token) {
        ranked[token] = {winner[token] == expert ? 1e6 : problem.at(token, expert) - price[token], token};
      }
      std::sort(ranked.begin(), ranked.end(), std::greater<>());
      for (int64_t i = 0; i < places; ++i) {
        const auto& [value, token] = ranked[i];
        const double raise = winner[token] == expert ? 0 : value - ranked[places].first;
        bids[expert][token] = raise + increment_of(problem);
      }
    }
    for (int64_t token = 0; token < tokens; ++token) {
      winner[token] = -1;
      double highest = 0;
      for (int64_t expert = 0; expert < experts; ++expert) {
        if (bids[expert][token] <= highest) continue;
        highest = bids[expert][token];
        winner[token] = expert;
      }
      price[token] += highest;
    }
    if (std::count(winner.begin(), winner.end(), -1) == 0) return {.experts = winner, .rounds = round};
  }
}

TEST(Auction, AssignsAsThePublishedStepsDo) {
  for (const auto& [tokens, experts] :
       std::vector<std::pair<int64_t, int64_t>>{{2, 2}, {64, 2}, {64, 4}, {16, 16}, {96, 8}, {512, 32}}) {
    for (const Family family : {Family::kGaussian, Family::kPopularExperts, Family::kSameRanking}) {
      const Problem problem = draw_problem(tokens, experts, family, 5);
      const AuctionResult expected = published_auction(problem);
      const AuctionResult result = solve(problem);
      EXPECT_EQ(result.experts, expected.experts) << tokens << " tokens, " << experts << " experts";
      EXPECT_EQ(result.rounds, expected.rounds);
    }
  }
}

TEST(Auction, BalancesAllShapesHoweverFewTheRounds) {
  for_all_problems([](const Problem& problem, Family) {
    for (const int64_t max_rounds : {0, 1, 2, 3, 10000}) {
      const AuctionResult result = solve(problem, {.max_rounds = max_rounds});
      expect_balanced(result.experts, problem.tokens, problem.experts);
      EXPECT_LE(result.rounds, std::max<int64_t>(max_rounds, 1));
    }
  });
}

// All bid for token 0, and expert 0 wins: its next best is worst (9 - 0; the others' 8 - 1 and 8 - 2). Token
// 1 then goes to expert 2, which scores it better than expert 1.
TEST(Auction, AssignsTheRestGreedilyWhenTheRoundsEnd) {
  const std::vector<float> scores = {9, 8, 8, 0, 1, 2, 0, 0, 0};
  const AuctionResult result = balanced_assignment(scores, 3, 3, {.max_rounds = 1});
  EXPECT_EQ(result.experts, (Experts{0, 2, 1}));
  EXPECT_EQ(result.rounds, 1);
  EXPECT_FALSE(result.finished);
}

TEST(Auction, NeedsFewerRoundsWhenTheIncrementGrows) {
  const Problem problem = draw_problem(64, 4, Family::kFewDistinctTokens, 1);
  EXPECT_LT(solve(problem, {.fast_after = 1}).rounds, solve(problem).rounds);
}

TEST(Auction, EndsWhenTheIncrementGrows) {
  for_all_problems([](const Problem& problem, Family) {
    for (const int64_t fast_after : {0, 1, 3}) {
      const AuctionResult result = solve(problem, {.fast_after = fast_after});
      EXPECT_TRUE(result.finished);
      expect_balanced(result.experts, problem.tokens, problem.experts);
    }
  });
}

// In each round the lowest free expert has the lowest unsold tokens, and the others move on.
TEST(Auction, BreaksTiesByTheLowestIndex) {
  const AuctionResult result = balanced_assignment(std::vector<float>(6 * 3, 1), 6, 3);
  EXPECT_EQ(result.experts, (Experts{0, 0, 1, 1, 2, 2}));
  EXPECT_EQ(result.rounds, 3);
}

TEST(Auction, EndsForEqualScoresOfAnySize) {
  for (const float score : {0.0F, 1.0F, -1e30F, std::numeric_limits<float>::max()}) {
    for (const auto& [tokens, experts] : kShapes) {
      const Problem problem{tokens, experts, std::vector<float>(tokens * experts, score)};
      const AuctionResult result = solve(problem);
      EXPECT_TRUE(result.finished) << tokens << " tokens, " << experts << " experts";
      EXPECT_LE(result.rounds, experts + 1);
      expect_balanced(result.experts, tokens, experts);
    }
  }
}

// The whole range of fp32, and steps of its last bit beside 1.
TEST(Auction, EndsForExtremeScores) {
  for (Problem problem :
       {draw_problem(67, 4, Family::kGaussian, 1), draw_problem(64, 4, Family::kGaussian, 2)}) {
    for (float& score : problem.scores) score = score > 0 ? 3.4e38F : -3.4e38F;
    EXPECT_TRUE(solve(problem).finished);
    for (float& score : problem.scores) score = score > 0 ? 1 : std::nextafter(1.0F, 2.0F);
    EXPECT_TRUE(solve(problem).finished);
    expect_balanced(solve(problem).experts, problem.tokens, problem.experts);
  }
}

TEST(Auction, TakesScoresThatAreNotFiniteForTheSmallest) {
  const std::vector<float> broken = {3, kNan, 2, kInfinity, 1, 0, -kInfinity, 4};
  const std::vector<float> repaired = {3, 0, 2, 0, 1, 0, 0, 4};
  EXPECT_EQ(balanced_assignment(broken, 4, 2).experts, balanced_assignment(repaired, 4, 2).experts);
  EXPECT_EQ(balanced_assignment(broken, 4, 2).experts, (Experts{0, 0, 1, 1}));
}

TEST(Auction, TakesScoresForEqualWhenNoneIsFinite) {
  const std::vector<float> broken = {kNan, kInfinity, -kInfinity, kNan, kNan, kNan, kInfinity, kNan};
  EXPECT_EQ(balanced_assignment(broken, 4, 2).experts, (Experts{0, 0, 1, 1}));
}

TEST(Auction, GivesASingleExpertEverything) {
  const AuctionResult result = balanced_assignment(std::vector<float>{1, kNan, -3}, 3, 1);
  EXPECT_EQ(result.experts, (Experts{0, 0, 0}));
  EXPECT_TRUE(result.finished);
}

// Both tokens like expert 2 best; token 0 loses less by leaving it (1, not 3). eps = 4 / 50.
TEST(Auction, GivesFewTokensDifferentExperts) {
  const std::vector<float> scores = {0, 3, 4, 0, 0, 1, 4, 0};
  EXPECT_EQ(balanced_assignment(scores, 2, 4).experts, (Experts{1, 2}));
}

TEST(Auction, AssignsNothingWhenThereAreNoTokens) {
  EXPECT_TRUE(balanced_assignment({}, 0, 4).experts.empty());
  EXPECT_TRUE(balanced_assignment({}, 0, 1).finished);
  EXPECT_EQ(assignment_score({}, {}, 4), 0);
}

TEST(Auction, RefusesScoresOfAnotherSize) {
  const std::vector<float> scores(6);
  EXPECT_THROW(balanced_assignment(scores, 2, 2), UsageError);
  EXPECT_THROW(balanced_assignment(scores, -2, -3), UsageError);
  EXPECT_THROW(balanced_assignment({}, 0, 0), UsageError);
}

TEST(Auction, IsAFunctionOfItsInput) {
  for_all_problems([](const Problem& problem, Family) {
    const AuctionResult first = solve(problem);
    const AuctionResult second = solve(problem);
    EXPECT_EQ(first.experts, second.experts);
    EXPECT_EQ(first.rounds, second.rounds);
  });
}

// The bids of a round may be made in any order, and side by side.
TEST(Auction, TheOrderOfTheTasksChangesNothing) {
  for (const Family family : {Family::kGaussian, Family::kPopularExperts, Family::kSameRanking}) {
    for (const int64_t tokens : {37, 64}) {
      const Problem problem = draw_problem(tokens, 8, family, 7);
      const AuctionResult alone = balanced_assignment(problem.scores, tokens, 8);
      int64_t tasks = 0;
      const AuctionResult backwards =
          balanced_assignment(problem.scores, tokens, 8,
                              {.for_tasks = [&](int64_t count, const std::function<void(int64_t)>& task) {
                                for (int64_t i = count; i-- > 0; ++tasks) task(i);
                              }});
      EXPECT_EQ(alone.experts, backwards.experts);
      EXPECT_EQ(alone.rounds, backwards.rounds);
      EXPECT_EQ(tasks, 8 * alone.rounds);
    }
  }
}

}  // namespace
}  // namespace megin::routing
