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

// Positions 0 and 1 of two sentences of two, whatever their symbols; the third position is padding.
TEST(HashRouter, ByPositionFollowsItsTable) {
  Fixture fixture({.count = 3,
                   .router = RouterKind::kHash,
                   .active = 2,
                   .gate = Gate::kMean,
                   .hash = config::HashTable::kPosition});
  ASSERT_EQ(fixture.tensor("table").sizes(), at::IntArrayRef({fixture.model.max_length, 2}));
  fixture.tensor("table").narrow(0, 0, 2).copy_(at::tensor({2.0f, 0.0f, 1.0f, 2.0f}).view({2, 2}));
  const Route route = fixture.route(
      {.hidden = at::zeros({6, kWidth}), .length = 3, .lengths = {2, 1}, .tokens = {4, 5, 1, 6, 1, 1}});
  EXPECT_EQ(experts_of(route), (std::vector<int64_t>{2, 0, 1, 2, -1, -1, 2, 0, -1, -1, -1, -1}));
  EXPECT_TRUE(at::equal(route.gates, at::full({6, 2}, 0.5f)));
  EXPECT_EQ(route.statistics.load, (std::vector<int64_t>{2, 1, 3}));
  EXPECT_EQ(route.statistics.routed, 3);
}

// Two different ones of three for each position; each pair alike, and the stacks on their own.
TEST(PositionTable, DrawsDifferentExpertsForEachPosition) {
  const config::ExpertConfig experts{.count = 3,
                                     .router = RouterKind::kHash,
                                     .active = 2,
                                     .gate = Gate::kMean,
                                     .hash = config::HashTable::kPosition};
  const auto table = position_table(config::Stack::kEncoder, 3000, experts, 1);
  ASSERT_EQ(table.size(), 6000u);
  std::vector<int64_t> left_out(3);
  for (size_t at = 0; at < table.size(); at += 2) {
    EXPECT_NE(table[at], table[at + 1]);
    ++left_out[static_cast<size_t>(3 - table[at] - table[at + 1])];
  }
  for (const int64_t count : left_out) EXPECT_NEAR(count, 1000, 130);  // five standard deviations
  EXPECT_NE(table, position_table(config::Stack::kDecoder, 3000, experts, 1));
  EXPECT_EQ(position_table(config::Stack::kEncoder, 10, experts, 1),
            std::vector<int64_t>(table.begin(), table.begin() + 20));
}

// In training by update and row, in use by the dispatch; padding meets none.
TEST(UniformRouter, DrawsSeveralExpertsForEachToken) {
  const Fixture fixture(
      {.count = 4, .router = RouterKind::kUniform, .active = 2, .gate = Gate::kSoftmaxOfChosen});
  const auto route = [&](uint64_t update) {
    return fixture.route({.hidden = at::zeros({400, kWidth}),
                          .length = 2,
                          .lengths = std::vector<int64_t>(200, 1),
                          .update = update});
  };
  const Route first = route(0);
  EXPECT_EQ(experts_of(first), experts_of(route(0)));
  EXPECT_NE(experts_of(first), experts_of(route(1)));
  EXPECT_EQ(first.statistics.routed, 200);
  for (const int64_t load : first.statistics.load) EXPECT_NEAR(load, 100, 36);  // five standard deviations
  const at::Tensor sums = first.gates.sum(1).view({200, 2});
  EXPECT_TRUE(at::allclose(sums.select(1, 0), at::ones({200})));
  EXPECT_EQ(std::ranges::count(experts_of(first), Route::kNoExpert), 400) << "of 200 places that are padding";
}

// The table is all 0: six tokens for expert 0, which takes two of them.
TEST(HashRouter, DropsInTrainingOnly) {
  const Fixture fixture({.count = 3, .router = RouterKind::kHash}, {.capacity = 1.0});
  for (const bool training : {true, false}) {
    const Route route =
        fixture.route({.hidden = at::zeros({6, kWidth}), .tokens = {4, 5, 6, 7, 8, 9}, .training = training});
    EXPECT_EQ(route.statistics.dropped, training ? 4 : 0);
    EXPECT_EQ(std::ranges::count(experts_of(route), Route::kNoExpert), training ? 4 : 0);
    EXPECT_EQ(std::ranges::count(experts_of(route), 0), training ? 2 : 6);
  }
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

// stablemoe trap 16: what workers assign for themselves is not what they would assign together. A token
// scores its lead for expert 0 and nothing for expert 1, so of each group the upper half goes to expert 0,
// exactly: its bids there are above those of expert 1, which is left the rest. Of three workers with four of
// the twelve tokens each, the token with r of greater lead meets expert 0 when at most one of them is among
// the three tokens of its group: in (C(11 - r, 3) + r C(11 - r, 2)) / C(11, 3) of all shuffles.
TEST(BaseRouter, WorkersAssignRandomGroupsByThemselves) {
  constexpr int64_t kTokens = 12, kUpdates = 600;
  const auto above = [](int64_t token) { return token * 5 % kTokens; };
  const at::Tensor hidden = at::zeros({kTokens, kWidth});
  for (int64_t token = 0; token < kTokens; ++token) hidden[token][0] = kTokens - above(token);
  const auto route = [&](int64_t workers, uint64_t update) {
    const Fixture fixture({.count = 2, .router = RouterKind::kBase, .gate = Gate::kSigmoid},
                          {.workers = workers});
    return fixture.route({.hidden = hidden, .update = update});
  };
  std::vector<double> first(kTokens);  // how often the token with so many above it meets expert 0
  for (uint64_t update = 0; update < kUpdates; ++update) {
    const Route apart = route(3, update);
    ASSERT_EQ(apart.statistics.load, (std::vector<int64_t>{6, 6}));
    const auto experts = experts_of(apart);
    for (int64_t token = 0; token < kTokens; ++token) {
      first[static_cast<size_t>(above(token))] += experts[static_cast<size_t>(token)] == 0;
    }
  }
  for (int64_t r = 0; r < kTokens; ++r) {
    const auto below = static_cast<double>(11 - r);
    const double pairs = below * (below - 1) / 2, triples = pairs * (below - 2) / 3;
    const double p = (triples + static_cast<double>(r) * pairs) / 165;
    EXPECT_NEAR(first[static_cast<size_t>(r)], kUpdates * p, 4 * std::sqrt(kUpdates * p * (1 - p))) << r;
  }
  const auto together = experts_of(route(1, 0));
  for (int64_t token = 0; token < kTokens; ++token) {
    EXPECT_EQ(together[static_cast<size_t>(token)], above(token) < 6 ? 0 : 1) << token;
  }
  // A worker with one token has nothing to balance.
  EXPECT_EQ(experts_of(route(kTokens, 0)), std::vector<int64_t>(kTokens, 0));
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

// One token, more experts than tokens, all at once; an expert that chooses takes the only token there is.
TEST(Routers, ServeABatchOfOneToken) {
  for (const RouterKind kind :
       {RouterKind::kUniform, RouterKind::kTopK, RouterKind::kSentence, RouterKind::kHash, RouterKind::kBase,
        RouterKind::kDistilled, RouterKind::kExpertChoice, RouterKind::kFixed}) {
    SCOPED_TRACE(enum_names(kind)[static_cast<size_t>(kind)]);
    const Gate gate = config::has_scores(kind) ? Gate::kSoftmax : Gate::kNone;
    const Fixture fixture({.count = 8, .router = kind, .gate = gate}, {.balance = 0.01});
    for (const bool training : {true, false}) {
      const Route route = fixture.route(
          {.hidden = at::zeros({1, kWidth}), .lengths = {1}, .tokens = {5}, .training = training});
      ASSERT_EQ(route.experts.numel(), kind == RouterKind::kExpertChoice ? 8 : 1);
      for (const int64_t expert : experts_of(route)) {
        EXPECT_GE(expert, 0);
        EXPECT_LT(expert, 8);
      }
      ASSERT_EQ(route.gates.defined(), gate != Gate::kNone);
      if (route.gates.defined()) {
        EXPECT_TRUE(at::allclose(route.gates, at::full_like(route.gates, 0.125)));
      }
    }
  }
}

struct Routed {
  config::ExpertConfig experts;
  config::RoutingConfig routing;
};

std::vector<Routed> counting_routers() {
  using config::DistilledInput;
  const config::ExpertConfig base{.count = 3, .router = RouterKind::kBase, .gate = Gate::kSigmoid};
  const config::ExpertConfig word{
      .count = 3, .router = RouterKind::kDistilled, .gate = Gate::kSigmoid, .distilled_width = 2};
  config::ExpertConfig bigram = word, cnn = word;
  bigram.distilled_input = DistilledInput::kBigram;
  cnn.distilled_input = DistilledInput::kCnn;
  const config::RoutingConfig stage{.balance = 0.3, .first_stage = 1};
  config::RoutingConfig even_stage = stage;
  even_stage.balanced_stage = true;
  return {{.experts = base, .routing = {.balance = 0.01, .z_loss = 0.01}},
          {.experts = base, .routing = {.balance = 0.01, .z_loss = 0.01, .workers = 2}},
          {.experts = word, .routing = stage},
          {.experts = word, .routing = even_stage},
          {.experts = bigram, .routing = stage},
          {.experts = cnn, .routing = stage},
          {.experts = {.count = 3, .router = RouterKind::kTopK, .active = 2, .gate = Gate::kSoftmax},
           .routing = {.balance = 0.01, .z_loss = 0.01}},
          {.experts = {.count = 3, .router = RouterKind::kSentence, .gate = Gate::kSoftmax},
           .routing = {.balance = 0.01, .z_loss = 0.01}},
          {.experts = {.count = 3, .router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax},
           .routing = {.z_loss = 0.01}}};
}

void expect_same_loss(const at::Tensor& a, const at::Tensor& b) {
  ASSERT_EQ(a.defined(), b.defined());
  if (!a.defined()) return;
  EXPECT_NEAR(a.item<float>(), b.item<float>(), 1e-5);
}

// stablemoe trap 4. Two sentences of three tokens, with two columns of padding and without.
TEST(Routers, PaddingIsNobodysAndCountedNowhere) {
  const at::Tensor hidden = net::normal_tensor({6, kWidth}, 5);
  const at::Tensor padded = at::full({10, kWidth}, 40.0, at::kFloat);
  for (const int64_t s : {0, 1}) padded.narrow(0, 5 * s, 3).copy_(hidden.narrow(0, 3 * s, 3));
  const at::Tensor real = at::tensor({0, 1, 2, 5, 6, 7}, at::kLong);
  const at::Tensor padding = at::tensor({3, 4, 8, 9}, at::kLong);
  const std::vector<Routed> all = counting_routers();
  for (size_t i = 0; i < all.size(); ++i) {
    SCOPED_TRACE(i);
    Fixture fixture(all[i].experts, all[i].routing);
    const auto fill = [&](const char* name) {
      at::Tensor to = fixture.tensor(name).detach();
      to.copy_(net::normal_tensor(to.sizes(), 6));
    };
    if (all[i].experts.router == RouterKind::kDistilled) {
      fill("symbols");
      fill("centres");
      if (all[i].experts.distilled_input == config::DistilledInput::kCnn) fill("kernel");
    }
    const Route alone =
        fixture.route({.hidden = hidden, .length = 3, .lengths = {3, 3}, .tokens = {4, 5, 6, 7, 4, 8}});
    const Route wide = fixture.route(
        {.hidden = padded, .length = 5, .lengths = {3, 3}, .tokens = {4, 5, 6, 1, 1, 7, 4, 8, 1, 1}});
    expect_same_loss(wide.losses.balance, alone.losses.balance);
    expect_same_loss(wide.losses.z, alone.losses.z);
    expect_same_loss(wide.losses.distillation, alone.losses.distillation);
    EXPECT_EQ(wide.losses.distillation.defined(), all[i].routing.first_stage > 0);
    EXPECT_EQ(wide.statistics.load, alone.statistics.load);
    EXPECT_EQ(wide.statistics.routed, all[i].experts.router == RouterKind::kSentence ? 2 : 6);
    EXPECT_EQ(wide.statistics.dropped, alone.statistics.dropped);
    EXPECT_NEAR(wide.statistics.confidence, alone.statistics.confidence, 1e-5);
    EXPECT_NEAR(wide.statistics.entropy, alone.statistics.entropy, 1e-5);
    EXPECT_TRUE(at::equal(wide.experts.index_select(0, real), alone.experts));
    EXPECT_TRUE(at::allclose(wide.gates.index_select(0, real), alone.gates, 1e-5, 1e-6));
    EXPECT_TRUE(wide.experts.index_select(0, padding).eq(Route::kNoExpert).all().item<bool>());
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
