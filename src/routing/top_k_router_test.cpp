#include "routing/top_k_router.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "net/gradient_check.h"
#include "routing/capacity.h"
#include "routing/router_fixture.h"
#include "routing/scores.h"

namespace megin::routing {
namespace {

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
    const std::vector<int64_t> numbers = active > 0 ? std::vector{active} : std::vector<int64_t>{};
    net::ForwardContext context{.training = training};
    context.dispatch = {.mode = config::DispatchMode::kRouter};
    (training ? context.active : context.dispatch.active) = numbers;
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
  // Of gates 5/7 and 2/7 the first moves by 10/49 with its logit, by -10/49 with the other one; scores
  // without a gradient would give none (spec 8.2).
  route(2, true).gates.narrow(1, 0, 1).sum().backward();
  EXPECT_TRUE(at::allclose(hidden.grad(), rows({0, -10.0f / 49, 10.0f / 49, 0})));
}

}  // namespace
}  // namespace megin::routing
