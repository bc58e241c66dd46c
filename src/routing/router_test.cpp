#include "routing/router.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "net/gradient_check.h"
#include "routing/hash_router.h"
#include "routing/router_fixture.h"
#include "routing/scores.h"

namespace megin::routing {
namespace {

TEST(SentenceRouter, ChoosesByTheMeanOfTokensInTheEncoderAndOfTheSourceInTheDecoder) {
  const config::ExpertConfig experts{.count = 2, .router = RouterKind::kSentence, .gate = Gate::kSoftmax};
  const Fixture fixture(experts, {.balance = 0.01});
  // Means of real tokens: (1, 2) and (3, 0); padding would turn both round.
  const at::Tensor hidden = rows({0, 4, 0, 0, 2, 0, 0, 0, 90, 0, 0, 0, 3, 0, 0, 0, 0, 90, 0, 0, 0, 90, 0, 0});
  Fixture::Batch batch{.hidden = hidden, .length = 3, .lengths = {2, 1}};
  const Route route = fixture.route(batch);
  EXPECT_EQ(experts_of(route), (std::vector<int64_t>{1, 1, -1, 0, -1, -1}));
  EXPECT_NEAR(route.gates[0][0].item<float>(), 1 / (1 + std::exp(-1.0)), 1e-6);
  EXPECT_EQ(route.statistics.load, (std::vector<int64_t>{1, 1})) << "sentences, not tokens";
  batch.stack = config::Stack::kDecoder;
  batch.memory_mean = rows({5, 0, 0, 0, 0, 5, 0, 0});
  EXPECT_EQ(experts_of(fixture.route(batch)), (std::vector<int64_t>{0, 0, -1, 1, -1, -1}));
}

TEST(HashRouter, FollowsItsTable) {
  Fixture fixture({.count = 3, .router = RouterKind::kHash});
  for (int64_t symbol = 0; symbol < 12; ++symbol) fixture.tensor("table")[symbol] = symbol % 3;
  const Route route = fixture.route(
      {.hidden = at::zeros({4, kWidth}), .length = 2, .lengths = {2, 1}, .tokens = {4, 5, 6, 7}});
  EXPECT_EQ(experts_of(route), (std::vector<int64_t>{1, 2, 0, -1}));
  EXPECT_FALSE(route.gates.defined());
  EXPECT_FALSE(fixture.tensor("table").requires_grad());
}

// 9, 5, 4, 3 to two experts: 9 | 5; 9 | 5 + 4; then expert 0 has least (9 = 9, the lower): 9 + 3 | 9.
TEST(HashTable, BalancedSpreadsTextAndRandomSpreadsSymbols) {
  const std::vector<int64_t> frequency = {0, 4, 9, 0, 3, 5};
  const auto table = hash_table(config::HashTable::kBalanced, frequency, 2, 1);
  EXPECT_EQ(table[2], 0);
  EXPECT_EQ(table[5], 1);
  EXPECT_EQ(table[1], 1);
  EXPECT_EQ(table[4], 0);
  const auto random = hash_table(config::HashTable::kRandom, std::vector<int64_t>(9000), 3, 1);
  for (int64_t expert = 0; expert < 3; ++expert) {
    EXPECT_NEAR(std::ranges::count(random, expert), 3000, 4 * std::sqrt(9000 * 2.0 / 9));
  }
  EXPECT_NE(random, hash_table(config::HashTable::kRandom, std::vector<int64_t>(9000), 3, 2));
}

TEST(BaseRouter, BalancesInTrainingAndIsGreedyInUse) {
  for (const int64_t workers : {1, 3}) {
    const Fixture fixture({.count = 4, .router = RouterKind::kBase, .gate = Gate::kSigmoid},
                          {.workers = workers});
    at::Tensor hidden = net::normal_tensor({48, kWidth}, 2);
    hidden.select(1, 0) += 2;  // expert 0 is the favourite
    const Route training =
        fixture.route({.hidden = hidden, .length = 2, .lengths = std::vector<int64_t>(24, 2)});
    EXPECT_EQ(training.statistics.load, (std::vector<int64_t>{12, 12, 12, 12}));
    const Route in_use = fixture.route({.hidden = hidden, .training = false});
    EXPECT_TRUE(at::equal(in_use.experts, highest(hidden, 1)));
    EXPECT_TRUE(at::allclose(training.gates, at::sigmoid(hidden.gather(1, training.experts))));
  }
}

TEST(UniformRouter, DrawsForEachTokenAnewInEachUpdate) {
  const Fixture fixture({.count = 4, .router = RouterKind::kUniform});
  constexpr int64_t kTokens = 8000;
  const at::Tensor hidden = at::zeros({kTokens, kWidth});
  const Route route =
      fixture.route({.hidden = hidden, .length = 2, .lengths = std::vector<int64_t>(4000, 1)});
  EXPECT_EQ(std::ranges::count(experts_of(route), Route::kNoExpert), 4000);
  double chi_square = 0;  // 16.27 with 3 degrees is exceeded once in a thousand
  for (const int64_t load : route.statistics.load)
    chi_square += std::pow(static_cast<double>(load) - 1000, 2) / 1000;
  EXPECT_LT(chi_square, 16.27);
  EXPECT_NE(experts_of(fixture.route({.hidden = hidden})),
            experts_of(fixture.route({.hidden = hidden, .update = 1})));
}

// One token, more experts than tokens, all at once.
TEST(Routers, ServeABatchOfOneToken) {
  for (const RouterKind kind : {RouterKind::kUniform, RouterKind::kTopK, RouterKind::kSentence,
                                RouterKind::kHash, RouterKind::kBase, RouterKind::kDistilled}) {
    const Gate gate = config::is_learned(kind) ? Gate::kSoftmax : Gate::kNone;
    const Fixture fixture({.count = 8, .router = kind, .gate = gate}, {.balance = 0.01});
    const Route route = fixture.route({.hidden = at::zeros({1, kWidth}), .lengths = {1}, .tokens = {5}});
    ASSERT_EQ(route.experts.numel(), 1);
    EXPECT_GE(route.experts.item<int64_t>(), 0);
    EXPECT_LT(route.experts.item<int64_t>(), 8);
  }
}

// Two experts, one expert a token on average. Of the first sentence's three tokens each expert takes two, of
// the second's one token both take that one; padding is nobody's.
TEST(ExpertChoiceRouter, ExpertsTakeTheTokensOfASentenceThatScoreHighest) {
  const Fixture fixture(
      {.count = 2, .router = RouterKind::kExpertChoice, .active = 1, .gate = Gate::kSoftmax});
  const float ln3 = std::log(3.0f);
  // Shares of expert 0: 1/4, 3/4, 1/2; then 1/2 and padding.
  const at::Tensor hidden = rows({0, ln3, 9, 9, ln3, 0, 9, 9, 1, 1, 9, 9,  //
                                  1, 1,   9, 9, 5,   5, 9, 9, 5, 5, 9, 9});
  const Route route = fixture.route({.hidden = hidden, .length = 3, .lengths = {3, 1}});
  constexpr int64_t kNo = Route::kNoExpert;
  EXPECT_EQ(experts_of(route), (std::vector<int64_t>{kNo, 1, 0, kNo, 0, 1, 0, 1, kNo, kNo, kNo, kNo}));
  EXPECT_TRUE(at::allclose(route.gates.narrow(0, 0, 3),
                           at::tensor({0.25f, 0.75f, 0.75f, 0.25f, 0.5f, 0.5f}).view({3, 2})));
  EXPECT_EQ(route.statistics.load, (std::vector<int64_t>{3, 3}));
  EXPECT_EQ(route.statistics.dropped, 0);
  EXPECT_FALSE(route.losses.balance.defined());
  // With four experts each takes one of three tokens: the third is nobody's.
  const Fixture four({.count = 4, .router = RouterKind::kExpertChoice, .active = 1, .gate = Gate::kSoftmax});
  const at::Tensor scores = rows({2, 2, 2, 2.1f, 3, 3, 3, 3, 0, 0, 0, 0.5f});
  const Route narrow = four.route({.hidden = scores, .length = 3});
  EXPECT_EQ(experts_of(narrow), (std::vector<int64_t>{kNo, kNo, kNo, kNo, 0, 1, 2, kNo, kNo, kNo, kNo, 3}));
  EXPECT_EQ(narrow.statistics.dropped, 1);
}

}  // namespace
}  // namespace megin::routing
