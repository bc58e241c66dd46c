#include "routing/distilled_router.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "net/gradient_check.h"
#include "routing/router_fixture.h"

namespace megin::routing {
namespace {

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

// stablemoe trap 5: the distilled router learns the expert that was used. All four tokens score expert 0
// best; assigned evenly, it gets the two that score it highest. The distilled scores of symbols 4 and 5 are
// (0, 2) and (2, 0), so the first token alone meets another expert than they say. By the greedy choice,
// expert 0, the third and the fourth would do so too.
TEST(DistilledRouter, LearnsTheExpertsThatWereUsed) {
  const Distilled fixture({.balance = 0.3, .first_stage = 10, .balanced_stage = true});
  const Route route = fixture.route(
      {.hidden = rows({4, 0, 9, 9, 3, 0, 9, 9, 2, 0, 9, 9, 1, 0, 9, 9}), .tokens = {4, 5, 4, 4}});
  EXPECT_EQ(experts_of(route), (std::vector<int64_t>{0, 0, 1, 1}));
  const double wrong = std::log(1 + std::exp(2.0)), right = std::log(1 + std::exp(-2.0));
  EXPECT_NEAR(route.losses.distillation.item<float>(), (wrong + 3 * right) / 4, 1e-6);
  EXPECT_EQ(route.losses.balance.item<float>(), 0) << "loads are even";
  EXPECT_NEAR(route.gates[2].item<float>(), 0.5, 1e-6) << "of the expert used, whose score is 0";
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

}  // namespace
}  // namespace megin::routing
