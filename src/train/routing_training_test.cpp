// What training does to routers.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

// smoe_dropout spec 8.2: training leaves a fixed router's bits alone, while its scores carry gradients to
// what they are of; and the number of experts follows the schedule.
TEST(TrainingStep, AFixedRouterStaysAsItWasDrawn) {
  config::ModelConfig model = small_model(4);
  model.experts = {.count = 4,
                   .every = 1,
                   .router = config::RouterKind::kFixed,
                   .active = 4,
                   .gate = config::Gate::kSoftmaxOfChosen};
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.max_updates = 12;
  config.optimizer.weight_decay = 0.1;
  config.routing = {.active_schedule = config::ActiveSchedule::kLinear, .first_active = 1};
  Trainer trainer(model, config);
  const net::ParameterMemory& parameters = trainer.model.parameters();
  const auto weights = [&] {
    const auto all = parameters.values_of(parameters.find("encoder.layers.0.feed_forward.router.weight"));
    return std::vector<float>(all.begin(), all.end());
  };
  const auto before = weights();
  EXPECT_GT(largest_difference(before, std::vector<float>(before.size())), 0);
  std::vector<int64_t> choices;
  for (int64_t update = 0; update < 12; ++update) {
    const auto report = trainer.run({batch_of({0, 1, 2, 3})}, update);
    int64_t load = 0;
    for (const int64_t of_expert : report.routing[0].statistics.load) load += of_expert;
    choices.push_back(load / report.source_tokens);
  }
  EXPECT_EQ(weights(), before);
  // round(3 t / 12) + 1, halves to even.
  EXPECT_EQ(choices, (std::vector<int64_t>{1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3, 4}));
}

config::ModelConfig routed_model(config::ExpertConfig experts) {
  config::ModelConfig model = small_model(experts.count);
  experts.every = 1;
  model.experts = experts;
  return model;
}

// The routers' losses are means, and count as often as there are target tokens: with everything else alike,
// the gradient of the router grows by that.
TEST(TrainingStep, RoutersAreTrainedByTheirGatesAndLosses) {
  const config::ModelConfig model =
      routed_model({.count = 4, .router = config::RouterKind::kTopK, .gate = config::Gate::kSoftmax});
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  const auto gradient = [&](double balance, double z_loss) {
    config.routing = {.balance = balance, .z_loss = z_loss};
    Trainer trainer(model, config);
    UpdateReport report;
    trainer.step.accumulate(batch_of({0, 1, 2, 3}), 0, 0, report);
    EXPECT_EQ(report.routing.size(), 4u);
    EXPECT_EQ(report.routing[0].statistics.routed, report.source_tokens);
    EXPECT_EQ(report.routing[2].statistics.routed, report.target_tokens);
    const auto all =
        trainer.model.parameters().find("decoder.layers.1.feed_forward.router.weight").leaves[0].grad();
    return std::vector<float>(all.data_ptr<float>(), all.data_ptr<float>() + all.numel());
  };
  const auto none = gradient(0, 0), one = gradient(0.5, 0.1), two = gradient(1.0, 0.2);
  EXPECT_GT(largest_difference(none, std::vector<float>(none.size())), 0) << "by the gate";
  EXPECT_GT(largest_difference(one, none), 0);
  for (size_t i = 0; i < none.size(); ++i) {
    EXPECT_NEAR(two[i] - none[i], 2 * (one[i] - none[i]), 1e-3 * std::abs(two[i]) + 1e-5);
  }
}

// Wang et al. 2024, algorithm 1: the bias of an expert falls when it had more than its share.
TEST(TrainingStep, BiasesMoveAgainstTheLoadAndNothingElseMovesThem) {
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.optimizer.weight_decay = 0.1;
  config.routing.bias_rate = 0.25;
  Trainer trainer(
      routed_model(
          {.count = 3, .router = config::RouterKind::kTopK, .gate = config::Gate::kSigmoid, .biased = true}),
      config);
  const UpdateReport report = trainer.run({batch_of({0, 1, 2, 3})}, 0);
  const net::ParameterMemory& parameters = trainer.model.parameters();
  for (const RoutingReport& of : report.routing) {
    const auto bias = parameters.values_of(
        parameters.find(store::layer_prefix(of.stack, of.layer) + "feed_forward.router.bias"));
    for (size_t e = 0; e < 3; ++e) {
      const double excess = static_cast<double>(of.statistics.load[e]) - of.statistics.routed / 3.0;
      EXPECT_EQ(bias[e], excess == 0 ? 0 : std::copysign(0.25, -excess)) << e;
    }
  }
}

// StableMoE: the published code lets momentum drift the frozen router for a hundred updates more.
TEST(TrainingStep, ADistilledRouterIsReallyFrozenInTheSecondStage) {
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.optimizer.weight_decay = 0.1;
  config.routing = {.balance = 0.3, .first_stage = 3};
  config.average_decay = 0.99;
  Trainer trainer(
      routed_model({.count = 3, .router = config::RouterKind::kDistilled, .gate = config::Gate::kSigmoid}),
      config);
  const auto values = [&](const char* name) {
    const net::ParameterMemory& parameters = trainer.model.parameters();
    const auto found =
        parameters.values_of(parameters.find(std::string("decoder.layers.1.feed_forward.router.") + name));
    return std::vector<float>(found.begin(), found.end());
  };
  std::vector<float> symbols = values("symbols"), centres = values("centres"), scores = values("weight");
  for (int64_t update = 0; update < 6; ++update) {
    const UpdateReport report = trainer.run({batch_of({0, 1, 2, 3})}, update);
    const bool learns = update < 3;
    EXPECT_EQ(values("symbols") != symbols, learns) << update;
    EXPECT_EQ(values("centres") != centres, learns) << update;
    EXPECT_NE(values("weight"), scores) << update << ": the gate goes on learning";
    EXPECT_EQ(report.routing.at(0).distillation > 0, learns) << update;
    const net::Parameter& parameter =
        trainer.model.parameters().find("decoder.layers.1.feed_forward.router.symbols");
    const auto average = std::span(trainer.state.average).subspan(parameter.offset, parameter.size);
    EXPECT_EQ(std::ranges::equal(average, values("symbols")), update >= 2) << "served as frozen, " << update;
    symbols = values("symbols");
    centres = values("centres");
    scores = values("weight");
  }
}

TEST(TrainingStep, TablesOfHashRoutersStayAsTheyAre) {
  config::TrainConfig config = settings();
  config.optimizer.weight_decay = 0.1;
  Trainer trainer(routed_model({.count = 3, .router = config::RouterKind::kHash}), config);
  const auto table = trainer.model.parameters().values_of(
      trainer.model.parameters().find("encoder.layers.1.feed_forward.router.table"));
  std::ranges::fill(table, 2.0f);
  const UpdateReport report = trainer.run({batch_of({0, 1, 2, 3})}, 0);
  EXPECT_EQ(std::ranges::count(table, 2.0f), 30);
  EXPECT_EQ(report.routing[1].statistics.load[2], 2 * report.source_tokens) << "both passes";
}

}  // namespace
}  // namespace megin::train
