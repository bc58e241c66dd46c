#include "routing/router.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "net/gradient_check.h"
#include "routing/capacity.h"
#include "routing/distilled_router.h"
#include "routing/hash_router.h"
#include "routing/scores.h"

namespace megin::routing {
namespace {

using config::Gate;
using config::RouterKind;

constexpr int64_t kWidth = 4;
const std::string kPrefix = "encoder.layers.0.feed_forward.";

// A router over the parameters of a small model. With an identity as its weight, the scores of a token are
// its hidden state.
struct Fixture {
  explicit Fixture(const config::ExpertConfig& experts, const config::RoutingConfig& routing_config = {})
      : model(model_of(experts)), routing(routing_config), parameters(model) {
    router = make_router(model.experts, routing, parameters, kPrefix);
    if (config::is_learned(experts.router)) weight().copy_(at::eye(experts.count, kWidth));
  }

  static config::ModelConfig model_of(config::ExpertConfig experts) {
    experts.every = 1;
    config::ModelConfig config;
    config.width = kWidth;
    config.feed_forward = 8;
    config.heads = 1;
    config.encoder_layers = config.decoder_layers = 1;
    config.source_vocabulary = config.target_vocabulary = 12;
    config.experts = experts;
    return config;
  }

  at::Tensor tensor(const std::string& name) { return parameters.get(kPrefix + "router." + name); }
  at::Tensor weight() { return tensor("weight").detach(); }

  struct Batch {
    at::Tensor hidden;
    int64_t length = 1;
    std::vector<int64_t> lengths = {};
    std::vector<int64_t> tokens = {};
    config::Stack stack = config::Stack::kEncoder;
    at::Tensor memory_mean = {};
    bool training = true;
    uint64_t update = 0;
  };
  Route route(const Batch& batch) const {
    const std::vector<uint64_t> sentences(static_cast<size_t>(batch.hidden.size(0) / batch.length), 3);
    const net::ForwardContext context{.training = batch.training, .update = batch.update};
    return router->route({.hidden = batch.hidden,
                          .sentences = sentences,
                          .length = batch.length,
                          .stack = batch.stack,
                          .context = context,
                          .lengths = batch.lengths,
                          .tokens = batch.tokens,
                          .memory_mean = batch.memory_mean});
  }

  config::ModelConfig model;
  config::RoutingConfig routing;
  net::ParameterMemory parameters;
  std::unique_ptr<Router> router;
};

std::vector<int64_t> experts_of(const Route& route) {
  return {route.experts.data_ptr<int64_t>(), route.experts.data_ptr<int64_t>() + route.experts.numel()};
}

at::Tensor rows(std::vector<float> values, int64_t width = kWidth) {
  return at::tensor(values).view({-1, width}).clone();
}

config::ExpertConfig top_k(int64_t count, int64_t active, Gate gate) {
  return {.count = count, .router = RouterKind::kTopK, .active = active, .gate = gate};
}

// Scores (0, ln 3): shares 1/4 and 3/4.
TEST(TopKRouter, SwitchTakesTheBestAndMultipliesByItsShare) {
  const Fixture fixture(top_k(2, 1, Gate::kSoftmax));
  const float ln3 = std::log(3.0f);
  const Route route = fixture.route({.hidden = rows({0, ln3, 9, 9, ln3, 0, 9, 9, 2, 2, 9, 9})});
  EXPECT_EQ(experts_of(route), (std::vector<int64_t>{1, 0, 0}));  // a tie goes to the lower
  EXPECT_TRUE(at::allclose(route.gates, at::tensor({0.75f, 0.75f, 0.5f}).view({3, 1})));
  EXPECT_EQ(route.statistics.load, (std::vector<int64_t>{2, 1}));
  EXPECT_NEAR(route.statistics.confidence, 2.0, 1e-6);
  const double of_quarter = -0.25 * std::log(0.25) - 0.75 * std::log(0.75);
  EXPECT_NEAR(route.statistics.entropy, 2 * of_quarter + std::log(2.0), 1e-6);
}

// Scores (0, ln 2, ln 5, ln 2): shares 1/10, 2/10, 5/10, 2/10.
TEST(TopKRouter, GatesAreSharesOfAllOrOfTheChosenOrSigmoids) {
  const std::vector<float> scores = {0, std::log(2.0f), std::log(5.0f), std::log(2.0f)};
  const auto gates = [&](Gate gate) {
    const Route route = Fixture(top_k(4, 2, gate)).route({.hidden = rows(scores)});
    EXPECT_EQ(experts_of(route), (std::vector<int64_t>{2, 1}));
    return route.gates;
  };
  EXPECT_TRUE(at::allclose(gates(Gate::kSoftmax), at::tensor({0.5f, 0.2f}).view({1, 2})));
  EXPECT_TRUE(at::allclose(gates(Gate::kSoftmaxOfChosen), at::tensor({5.0f / 7, 2.0f / 7}).view({1, 2})));
  // sigmoid(ln x) = x / (x + 1): 5/6 and 2/3, together 3/2.
  EXPECT_TRUE(at::allclose(gates(Gate::kSigmoid), at::tensor({5.0f / 9, 4.0f / 9}).view({1, 2})));
  const Route one = Fixture(top_k(4, 1, Gate::kSigmoid)).route({.hidden = rows(scores)});
  EXPECT_NEAR(one.gates.item<float>(), 5.0 / 6, 1e-6);
}

// Conformance check 9 of the Switch baseline: 1 where the load is even, N where all goes to one expert that
// is certain; only the probabilities carry a gradient.
TEST(RouteLosses, BalanceIsOneWhenEvenAndTheNumberOfExpertsWhenCollapsed) {
  const Fixture fixture(top_k(4, 1, Gate::kSoftmax), {.balance = 0.01, .z_loss = 0.001});
  at::Tensor even = at::eye(4) * 50;
  const Route balanced = fixture.route({.hidden = even});
  EXPECT_NEAR(balanced.losses.balance.item<float>(), 1, 1e-5);
  EXPECT_NEAR(balanced.losses.z.item<float>(), 2500, 1e-2);  // logsumexp(50, 0, 0, 0) = 50
  const Route collapsed = fixture.route({.hidden = rows({50, 0, 0, 0, 60, 0, 0, 0})});
  EXPECT_NEAR(collapsed.losses.balance.item<float>(), 4, 1e-5);
  const Route uncertain = fixture.route({.hidden = at::zeros({8, 4})});  // ties: all to expert 0
  EXPECT_NEAR(uncertain.losses.balance.item<float>(), 1, 1e-5);
}

TEST(RouteLosses, GradientsAreThoseOfFiniteDifferences) {
  at::Tensor scores = net::normal_tensor({6, 3}, 1).requires_grad_(true);
  const at::Tensor chosen = highest(scores, 2);  // fixed: f carries no gradient
  const config::RoutingConfig weights{.balance = 1, .z_loss = 1};
  net::expect_gradients([&] { return route_losses(scores, chosen, weights).balance; }, {scores});
  net::expect_gradients([&] { return route_losses(scores, chosen, weights).z * 0.1; }, {scores});
  for (const Gate gate : {Gate::kSoftmax, Gate::kSoftmaxOfChosen, Gate::kSigmoid}) {
    net::expect_gradients([&] { return gates_of(scores, chosen, gate); }, {scores});
  }
}

TEST(TopKRouter, PaddingIsNeitherRoutedNorCounted) {
  const Fixture fixture(top_k(2, 1, Gate::kSoftmax), {.balance = 0.01});
  const at::Tensor hidden = rows({1, 0, 0, 0, 0, 1, 0, 0, 9, 0, 0, 0, 1, 0, 0, 0, 7, 0, 0, 0, 8, 0, 0, 0});
  const Route route = fixture.route({.hidden = hidden, .length = 3, .lengths = {2, 1}});
  EXPECT_EQ(experts_of(route), (std::vector<int64_t>{0, 1, -1, 0, -1, -1}));
  EXPECT_EQ(route.statistics.routed, 3);
  const Route alone = fixture.route({.hidden = rows({1, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0})});
  EXPECT_NEAR(route.losses.balance.item<float>(), alone.losses.balance.item<float>(), 1e-6);
}

TEST(TopKRouter, ExploresInTrainingOnlyAndAlwaysTheSameWay) {
  for (const bool noisy : {false, true}) {
    config::ExpertConfig experts = top_k(4, 1, Gate::kSoftmax);
    experts.noisy = noisy;
    const Fixture fixture(experts, {.jitter = noisy ? 0.0 : 0.5});
    const at::Tensor hidden = net::normal_tensor({200, kWidth}, 4);
    const auto chosen = [&](bool training, uint64_t update) {
      return experts_of(fixture.route({.hidden = hidden, .training = training, .update = update}));
    };
    EXPECT_EQ(chosen(true, 1), chosen(true, 1));
    EXPECT_NE(chosen(true, 1), chosen(true, 2));
    EXPECT_NE(chosen(true, 1), chosen(false, 1));
    EXPECT_EQ(chosen(false, 1), chosen(false, 2));
  }
}

// Wang et al. 2024: the bias decides who is chosen, the gate does not know it.
TEST(TopKRouter, ABiasMovesTheChoiceAndNotTheGate) {
  config::ExpertConfig experts = top_k(2, 1, Gate::kSigmoid);
  experts.biased = true;
  Fixture fixture(experts);
  const at::Tensor hidden = rows({1, 0.5f, 0, 0});
  EXPECT_EQ(experts_of(fixture.route({.hidden = hidden})), std::vector<int64_t>{0});
  fixture.tensor("bias").copy_(at::tensor({0.0f, 1.0f}));
  const Route route = fixture.route({.hidden = hidden});
  EXPECT_EQ(experts_of(route), std::vector<int64_t>{1});
  EXPECT_NEAR(route.gates.item<float>(), 1 / (1 + std::exp(-0.5)), 1e-6);
  EXPECT_FALSE(fixture.parameters.get(kPrefix + "router.bias").requires_grad());
}

// GShard's second expert is met with probability 2 g_2: never below g_2 = 0, always from 1/2 on.
TEST(TopKRouter, TheSecondExpertMayBeSampled) {
  const Fixture fixture(top_k(2, 2, Gate::kSoftmaxOfChosen),
                        {.second_expert = config::SecondExpert::kSampled});
  constexpr int64_t kTokens = 4000;
  const at::Tensor hidden = at::zeros({kTokens, kWidth});
  hidden.select(1, 0).fill_(std::log(4.0f));  // g_2 = 1/5: met twice in five
  const Route route = fixture.route({.hidden = hidden});
  const auto experts = experts_of(route);
  const auto met = kTokens - std::ranges::count(experts, Route::kNoExpert);
  EXPECT_NEAR(static_cast<double>(met) / kTokens, 0.4, 4 * std::sqrt(0.4 * 0.6 / kTokens));
  EXPECT_EQ(route.statistics.dropped, kTokens - met);
  const Route even = fixture.route({.hidden = at::zeros({100, kWidth})});
  EXPECT_EQ(std::ranges::count(experts_of(even), Route::kNoExpert), 0);
}

TEST(Capacity, IsTheRoundedUpShareTimesTheFactor) {
  EXPECT_EQ(capacity_of(1.0, 10, 1, 4), 3);
  EXPECT_EQ(capacity_of(1.25, 16, 1, 4), 5);
  EXPECT_EQ(capacity_of(1.0, 10, 2, 4), 5);
  EXPECT_EQ(capacity_of(0.5, 1, 1, 4), 1);
}

TEST(Capacity, FullExpertsDropLaterOnesOrRandomOnes) {
  const auto choices = [] { return at::tensor({0, 0, 0, 1, 0, 0}, at::kLong).view({6, 1}); };
  const at::Tensor in_order = choices();
  EXPECT_EQ(drop_beyond(in_order, 2, std::nullopt), 3);
  EXPECT_TRUE(at::equal(in_order.view({6}), at::tensor({0, 0, -1, 1, -1, -1}, at::kLong)));
  std::vector<int64_t> kept(6);
  for (uint64_t key = 0; key < 600; ++key) {
    const at::Tensor random = choices();
    EXPECT_EQ(drop_beyond(random, 2, key), 3);
    for (size_t i = 0; i < 6; ++i) kept[i] += random[static_cast<int64_t>(i)].item<int64_t>() >= 0;
  }
  EXPECT_EQ(kept[3], 600);
  for (const size_t i : {0, 1, 2, 4, 5}) EXPECT_NEAR(kept[i], 600 * 2 / 5, 4 * std::sqrt(600 * 0.4 * 0.6));
  const at::Tensor two = at::tensor({1, 0, 1, 0, 0, 1}, at::kLong).view({3, 2});
  EXPECT_EQ(drop_beyond(two, 1, std::nullopt), 4);  // first choices stand before second ones
  EXPECT_TRUE(at::equal(two.view({6}), at::tensor({1, -1, -1, -1, 0, -1}, at::kLong)));
}

TEST(TopKRouter, DropsBeyondItsCapacityInTrainingOnly) {
  const Fixture fixture(top_k(2, 1, Gate::kSoftmax), {.capacity = 1.0});
  const at::Tensor hidden = at::zeros({6, kWidth});  // all to expert 0, which takes 3
  const Route route = fixture.route({.hidden = hidden});
  EXPECT_EQ(route.statistics.dropped, 3);
  EXPECT_EQ(std::ranges::count(experts_of(route), Route::kNoExpert), 3);
  EXPECT_EQ(route.statistics.load, (std::vector<int64_t>{6, 0})) << "before dropping";
  const Route in_use = fixture.route({.hidden = hidden, .training = false});
  EXPECT_EQ(std::ranges::count(experts_of(in_use), Route::kNoExpert), 0);
}

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

config::ExpertConfig distilled(int64_t count) {
  config::ExpertConfig experts{.count = count, .router = RouterKind::kDistilled, .gate = Gate::kSigmoid};
  experts.distilled_width = 2;
  return experts;
}

// Symbols 4 and 5 stand at (1, 0) and (0, 1), experts at (0, 2) and (2, 0): the distilled router sends 4 to
// expert 1 and 5 to expert 0, whatever the hidden states say.
struct Distilled : Fixture {
  explicit Distilled(const config::RoutingConfig& routing_config) : Fixture(distilled(2), routing_config) {
    tensor("symbols").detach()[4].copy_(at::tensor({1.0f, 0.0f}));
    tensor("symbols").detach()[5].copy_(at::tensor({0.0f, 1.0f}));
    tensor("centres").detach().copy_(at::tensor({0.0f, 2.0f, 2.0f, 0.0f}).view({2, 2}));
  }
  Route of(uint64_t update, bool training = true) const {
    return route({.hidden = rows({3, 0, 0, 0, 3, 0, 0, 0, 0, 3, 0, 0}),
                  .length = 3,
                  .lengths = {3},
                  .tokens = {4, 5, 4},
                  .training = training,
                  .update = update});
  }
};

TEST(DistilledRouter, ChoosesByTheStateFirstAndByTheSymbolFromTheSecondStageOn) {
  const Distilled fixture({.balance = 0.3, .first_stage = 10});
  EXPECT_EQ(experts_of(fixture.of(9)), (std::vector<int64_t>{0, 0, 1}));
  EXPECT_EQ(experts_of(fixture.of(10)), (std::vector<int64_t>{1, 0, 1}));
  EXPECT_EQ(experts_of(fixture.of(0, false)), (std::vector<int64_t>{1, 0, 1})) << "in use always by symbol";
  EXPECT_FALSE(fixture.of(10).losses.balance.defined());
  EXPECT_FALSE(fixture.of(10).losses.distillation.defined());
  // The gate is that of the state in both stages: sigmoid(0), as token 0 has score 0 for expert 1.
  EXPECT_NEAR(fixture.of(10).gates[0][0].item<float>(), 0.5, 1e-6);
}

// Expert 0 has 2 of 3 tokens: excess 2 / 1.5 - 1 = 1/3; expert 1 has 1: 1 / 1.5 - 1 = -1/3. All scores are 3.
// Distilled scores are (0, 2), (2, 0), (0, 2) and the experts used 0, 0, 1.
TEST(DistilledRouter, LossesAreThoseOfThePaper) {
  const Distilled fixture({.balance = 0.3, .first_stage = 10});
  const Route route = fixture.of(0);
  const double gate = 1 / (1 + std::exp(-3.0));
  EXPECT_NEAR(route.losses.balance.item<float>(), (gate / 3 + gate / 3 - gate / 3) / 3, 1e-6);
  const double wrong = std::log(1 + std::exp(2.0)), right = std::log(1 + std::exp(-2.0));
  EXPECT_NEAR(route.losses.distillation.item<float>(), (wrong + right + right) / 3, 1e-6);
}

TEST(DistilledRouter, EachLossReachesItsOwnParameters) {
  Distilled fixture({.balance = 0.3, .first_stage = 10});
  const auto gradient = [&](const char* name) {
    const at::Tensor of = fixture.tensor(name).grad();
    const double size = of.abs().sum().item<double>();
    of.zero_();
    return size;
  };
  fixture.of(0).losses.distillation.backward();
  EXPECT_EQ(gradient("weight"), 0) << "the target is no gradient's way";
  EXPECT_GT(gradient("symbols"), 0);
  EXPECT_GT(gradient("centres"), 0);
  fixture.of(0).losses.balance.backward();
  EXPECT_GT(gradient("weight"), 0);
  EXPECT_EQ(gradient("symbols"), 0);
  fixture.of(10).gates.sum().backward();
  EXPECT_GT(gradient("weight"), 0) << "the gate goes on learning";
  EXPECT_EQ(gradient("symbols"), 0);
  EXPECT_EQ(gradient("centres"), 0);
}

TEST(DistilledRouter, GradientsOfTheBalanceLossAreThoseOfFiniteDifferences) {
  at::Tensor scores = net::normal_tensor({7, 3}, 3).requires_grad_(true);
  const at::Tensor chosen = at::tensor({0, 0, 0, 1, 0, 2, 1}, at::kLong).view({7, 1});
  net::expect_gradients([&] { return excess_balance_loss(scores, chosen) * 5; }, {scores});
}

TEST(DistilledRouter, MayAssignTheFirstStageEvenly) {
  Fixture fixture(distilled(4), {.first_stage = 5, .balanced_stage = true});
  const at::Tensor hidden = net::normal_tensor({40, kWidth}, 2) + at::tensor({3.0f, 0.0f, 0.0f, 0.0f});
  const Route route = fixture.route({.hidden = hidden, .tokens = std::vector<int64_t>(40, 6)});
  EXPECT_EQ(route.statistics.load, (std::vector<int64_t>{10, 10, 10, 10}));
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

// Vectors of symbols along one axis each, experts along them: what a token chooses is the symbol that weighs
// most.
TEST(DistilledRouter, LooksAtTheSymbolsUpToAToken) {
  const auto experts_by = [](config::DistilledInput input, std::vector<float> kernel) {
    Fixture fixture({.count = 3,
                     .router = RouterKind::kDistilled,
                     .gate = Gate::kSigmoid,
                     .distilled_input = input,
                     .distilled_width = 3});
    fixture.tensor("symbols").detach().zero_();
    for (int64_t symbol = 0; symbol < 3; ++symbol) {
      fixture.tensor("symbols").detach()[4 + symbol][symbol] = 1 + 0.1 * static_cast<double>(symbol);
    }
    fixture.tensor("centres").detach().copy_(at::eye(3));
    for (size_t i = 0; i < kernel.size(); ++i) {
      fixture.tensor("kernel").detach()[static_cast<int64_t>(i)] = kernel[i];
    }
    // Two sentences: 4 5 6 4 and 6 4 4 (padding).
    return experts_of(fixture.route({.hidden = at::zeros({8, kWidth}),
                                     .length = 4,
                                     .lengths = {4, 3},
                                     .tokens = {4, 5, 6, 4, 6, 4, 4, 1},
                                     .training = false}));
  };
  constexpr int64_t kNo = Route::kNoExpert;
  EXPECT_EQ(experts_by(config::DistilledInput::kWord, {}), (std::vector<int64_t>{0, 1, 2, 0, 2, 0, 0, kNo}));
  // The later of two symbols' vectors is longer, unless 6 came before.
  EXPECT_EQ(experts_by(config::DistilledInput::kBigram, {}),
            (std::vector<int64_t>{0, 1, 2, 2, 2, 2, 0, kNo}));
  // All of the weight on the symbol two before; nothing stands before a sentence, so all tie there.
  EXPECT_EQ(experts_by(config::DistilledInput::kCnn, {0, 0, 1, 0, 0}),
            (std::vector<int64_t>{0, 0, 0, 1, 0, 0, 2, kNo}));
}

// SMoE-Dropout: k = 1 has the gate 1; with all experts the route is all of them, with a softmax over all
// scores; and the scores carry gradients to the tokens although nothing trains their weights (smoe_dropout
// spec 1.2, 8.2).
TEST(FixedRouter, TakesAsManyExpertsAsItIsTold) {
  Fixture fixture({.count = 3, .router = RouterKind::kFixed, .active = 3, .gate = Gate::kSoftmaxOfChosen});
  EXPECT_FALSE(fixture.tensor("weight").requires_grad());
  fixture.weight().copy_(at::eye(3, kWidth));
  at::Tensor hidden = rows({0, std::log(2.0f), std::log(5.0f), 9}).requires_grad_(true);
  const std::vector<uint64_t> sentences = {3};
  const auto route = [&](int64_t active, bool training) {
    net::ForwardContext context{.training = training, .active = training ? active : 0};
    context.dispatch = {.mode = config::DispatchMode::kRouter, .active = training ? 0 : active};
    return fixture.router->route({.hidden = hidden, .sentences = sentences, .length = 1, .context = context});
  };
  for (const bool training : {true, false}) {
    const Route one = route(1, training), two = route(2, training), all = route(3, training);
    EXPECT_EQ(experts_of(one), (std::vector<int64_t>{2}));
    EXPECT_EQ(one.gates.item<float>(), 1.0f);
    EXPECT_EQ(experts_of(two), (std::vector<int64_t>{2, 1}));
    EXPECT_TRUE(at::allclose(two.gates, at::tensor({5.0f / 7, 2.0f / 7}).view({1, 2})));
    EXPECT_EQ(all.kind, Route::Kind::kAll);
    EXPECT_TRUE(at::allclose(all.gates, at::tensor({0.125f, 0.25f, 0.625f}).view({1, 3})));
  }
  route(2, true).gates.narrow(1, 0, 1).sum().backward();
  EXPECT_GT(hidden.grad().abs().sum().item<float>(), 0.1f);
}

}  // namespace
}  // namespace megin::routing
