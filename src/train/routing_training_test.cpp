// What training does to routers.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "config/active_schedule.h"
#include "text/vocabulary.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

struct Routed {
  config::ExpertConfig experts;
  config::RoutingConfig routing;
};

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
    std::vector<float> of_all;
    for (const net::Parameter& parameter : parameters.all()) {
      if (parameter.name.find(".router.") == std::string::npos) continue;
      const auto values = parameters.values_of(parameter);
      of_all.insert(of_all.end(), values.begin(), values.end());
    }
    return of_all;
  };
  const auto before = weights();
  EXPECT_EQ(before.size(), 4U * 4 * 16) << "four layers of four experts";
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

// Of each update and each layer, or of an anchored update for all of them.
TEST(TrainingStep, LayersMeetTheNumbersOfExpertsThatTheyDraw) {
  config::ModelConfig model = small_model(4);
  model.experts = {.count = 4,
                   .every = 1,
                   .router = config::RouterKind::kFixed,
                   .active = 4,
                   .gate = config::Gate::kSoftmaxOfChosen};
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.routing = {
      .active_schedule = config::ActiveSchedule::kRandomByLayer, .first_active = 1, .anchor = 0.3};
  Trainer trainer(model, config);
  int anchored = 0, mixed = 0;
  for (int64_t update = 0; update < 12; ++update) {
    auto wanted = config::active_by_layer_at(config.routing, model.experts, update, config.max_updates,
                                             static_cast<uint64_t>(config.seed), 4);
    anchored += wanted.size() == 1;
    mixed += wanted.size() == 4;
    wanted.resize(4, wanted[0]);
    const auto report = trainer.run({batch_of({0, 1, 2, 3})}, update);
    ASSERT_EQ(report.routing.size(), 4u);
    for (size_t layer = 0; layer < 4; ++layer) {
      int64_t load = 0;
      for (const int64_t of_expert : report.routing[layer].statistics.load) load += of_expert;
      EXPECT_EQ(load, wanted[layer] * report.routing[layer].statistics.routed) << update << " " << layer;
    }
  }
  EXPECT_GT(anchored, 0);
  EXPECT_GT(mixed, 0);
}

// Of the expert layers of such a model.
const std::vector<std::string> kRouters = {
    "encoder.layers.0.feed_forward.router.", "encoder.layers.1.feed_forward.router.",
    "decoder.layers.0.feed_forward.router.", "decoder.layers.1.feed_forward.router."};

std::vector<float> gradient_of(Trainer& trainer, const std::string& name) {
  net::ParameterMemory& parameters = trainer.model.parameters();
  const net::Parameter& parameter = parameters.find(name);
  const auto found = parameters.gradients().subspan(parameter.offset, parameter.size);
  return {found.begin(), found.end()};
}

double largest(std::span<const float> values) {
  return largest_difference(values, std::vector<float>(values.size()));
}

// The routers' losses are means, and count as often as there are target tokens: with everything else alike,
// the gradient of each router grows by that.
TEST(TrainingStep, RoutersAreTrainedByTheirGatesAndLosses) {
  const config::ModelConfig model =
      routed_model({.count = 4, .router = config::RouterKind::kTopK, .gate = config::Gate::kSoftmax});
  const auto gradients = [&](double balance, double z_loss) {
    Trainer trainer(model, one_pass({.balance = balance, .z_loss = z_loss}));
    UpdateReport report;
    trainer.step.accumulate(batch_of({0, 1, 2, 3}), 0, 0, report);
    EXPECT_EQ(report.routing.size(), 4u);
    EXPECT_EQ(report.routing[0].statistics.routed, report.source_tokens);
    EXPECT_EQ(report.routing[2].statistics.routed, report.target_tokens);
    std::vector<std::vector<float>> of_layers;
    for (const std::string& router : kRouters) of_layers.push_back(gradient_of(trainer, router + "weight"));
    return of_layers;
  };
  const auto none = gradients(0, 0), one = gradients(0.5, 0.1), two = gradients(1.0, 0.2);
  for (size_t layer = 0; layer < kRouters.size(); ++layer) {
    SCOPED_TRACE(kRouters[layer]);
    EXPECT_GT(largest(none[layer]), 0) << "by the gate";
    EXPECT_GT(largest_difference(one[layer], none[layer]), 0);
    for (size_t i = 0; i < none[layer].size(); ++i) {
      const double by_one = one[layer][i] - none[layer][i], by_two = two[layer][i] - none[layer][i];
      EXPECT_NEAR(by_two, 2 * by_one, 1e-3 * std::abs(two[layer][i]) + 1e-4);
    }
  }
}

// stablemoe trap 8: the published code keeps the losses of the last expert layer alone. A softmax over one
// choice is 1 and has no gradient, so that nothing but a layer's own losses can train its router here. The
// batch has 10 and 11 tokens of 3 sentences: loads of four experts cannot be even, where the balance is flat.
TEST(TrainingStep, TheLossesOfEveryExpertLayerTrainItsRouter) {
  using config::RouterKind;
  const auto largest_of_layers = [](RouterKind kind, const config::RoutingConfig& routing) {
    Trainer trainer(routed_model({.count = 4, .router = kind, .gate = config::Gate::kSoftmaxOfChosen}),
                    one_pass(routing));
    UpdateReport report;
    trainer.step.accumulate(batch_of({0, 1, 3}), 0, 0, report);
    std::vector<double> found;
    for (const std::string& router : kRouters)
      found.push_back(largest(gradient_of(trainer, router + "weight")));
    return found;
  };
  for (const RouterKind kind :
       {RouterKind::kTopK, RouterKind::kSentence, RouterKind::kBase, RouterKind::kDistilled}) {
    SCOPED_TRACE(enum_names(kind)[static_cast<size_t>(kind)]);
    for (const double of_layer : largest_of_layers(kind, {.first_stage = 1})) EXPECT_LT(of_layer, 1e-6);
    for (const double of_layer : largest_of_layers(kind, {.balance = 0.5, .first_stage = 1})) {
      EXPECT_GT(of_layer, 1e-4) << "by the balance loss";
    }
    if (kind == RouterKind::kDistilled) continue;  // has no z-loss
    for (const double of_layer : largest_of_layers(kind, {.z_loss = 0.1})) {
      EXPECT_GT(of_layer, 1e-4) << "by the z-loss";
    }
  }
}

// The same of what is distilled: each router learns the symbols that its stack reads, and no padding.
TEST(TrainingStep, EveryDistilledRouterLearnsTheSymbolsOfItsStack) {
  Trainer trainer(
      routed_model({.count = 3, .router = config::RouterKind::kDistilled, .gate = config::Gate::kSigmoid}),
      one_pass({.first_stage = 3}));
  const data::TokenBatch batch = batch_of({0, 1, 2});
  for (const int64_t update : {0, 3}) {
    std::ranges::fill(trainer.model.parameters().gradients(), 0.0f);
    UpdateReport report;
    trainer.step.accumulate(batch, update, 0, report);
    for (size_t layer = 0; layer < kRouters.size(); ++layer) {
      const auto& side = layer < 2 ? batch.source : batch.target_input;
      std::set<int32_t> read(side.begin(), side.end()), learned;
      read.erase(text::kPadId);
      const auto gradient = gradient_of(trainer, kRouters[layer] + "symbols");
      const size_t width = gradient.size() / 30;
      for (size_t i = 0; i < gradient.size(); ++i) {
        if (gradient[i] != 0) learned.insert(static_cast<int32_t>(i / width));
      }
      EXPECT_EQ(learned, update == 0 ? read : std::set<int32_t>()) << kRouters[layer];
    }
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

data::TokenBatch with_padding(const data::TokenBatch& batch, size_t columns) {
  data::TokenBatch wider = batch;
  const auto widen = [&](std::vector<int32_t>& side, int64_t length) {
    for (int64_t row = batch.sentences; row > 0; --row) {
      side.insert(side.begin() + row * length, columns, text::kPadId);
    }
  };
  widen(wider.source, batch.source_length);
  widen(wider.target_input, batch.target_length);
  widen(wider.target_output, batch.target_length);
  wider.source_length += static_cast<int64_t>(columns);
  wider.target_length += static_cast<int64_t>(columns);
  return wider;
}

// stablemoe trap 4, of whole models.
TEST(TrainingStep, PaddingChangesNoLossNoStatisticsAndNoGradient) {
  using config::Gate, config::RouterKind;
  const std::vector<Routed> all = {
      {{.count = 3, .router = RouterKind::kTopK, .gate = Gate::kSoftmax}, {.balance = 0.1, .z_loss = 0.1}},
      {{.count = 3, .router = RouterKind::kSentence, .gate = Gate::kSoftmax}, {.balance = 0.1}},
      {{.count = 3, .router = RouterKind::kBase, .gate = Gate::kSigmoid}, {.z_loss = 0.1, .workers = 2}},
      {{.count = 3, .router = RouterKind::kDistilled, .gate = Gate::kSigmoid},
       {.balance = 0.3, .first_stage = 1}},
      {{.count = 3,
        .router = RouterKind::kDistilled,
        .gate = Gate::kSigmoid,
        .distilled_input = config::DistilledInput::kCnn},
       {.balance = 0.3, .first_stage = 1, .balanced_stage = true}},
      {{.count = 3, .router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax},
       {.z_loss = 0.1}}};
  data::MemoryExamples examples;
  examples.add({5, 6, 7}, {9, 10, 11, 12});
  examples.add({11, 12, 5}, {13, 14, 9, 16});
  examples.add({18, 6, 8}, {20, 21, 22, 9});
  const data::TokenBatch batch = data::make_batch(examples, std::vector<int64_t>{0, 1, 2});
  for (const auto& [experts, routing] : all) {
    SCOPED_TRACE(enum_names(experts.router)[static_cast<size_t>(experts.router)]);
    Trainer a(routed_model(experts), one_pass(routing)), b(routed_model(experts), one_pass(routing));
    UpdateReport plain, padded;
    a.step.accumulate(batch, 0, 0, plain);
    b.step.accumulate(with_padding(batch, 3), 0, 0, padded);
    EXPECT_NEAR(plain.cross_entropy[0], padded.cross_entropy[0], 1e-5 * plain.cross_entropy[0]);
    ASSERT_EQ(plain.routing.size(), padded.routing.size());
    for (size_t layer = 0; layer < plain.routing.size(); ++layer) {
      const RoutingReport &x = plain.routing[layer], &y = padded.routing[layer];
      EXPECT_EQ(x.statistics.load, y.statistics.load);
      EXPECT_EQ(x.statistics.routed, y.statistics.routed);
      EXPECT_EQ(x.statistics.dropped, y.statistics.dropped);
      EXPECT_NEAR(x.statistics.confidence, y.statistics.confidence, 1e-4);
      EXPECT_NEAR(x.statistics.entropy, y.statistics.entropy, 1e-4);
      EXPECT_NEAR(x.balance, y.balance, 1e-4);
      EXPECT_NEAR(x.z, y.z, 1e-4);
      EXPECT_NEAR(x.distillation, y.distillation, 1e-4);
    }
    const auto x = a.model.parameters().gradients(), y = b.model.parameters().gradients();
    EXPECT_LT(largest_difference(x, y), 1e-4 * largest(x));
  }
}

}  // namespace
}  // namespace megin::train
