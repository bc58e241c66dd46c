// Tokens that experts of a full capacity, or chance, drop in training.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "text/vocabulary.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

// Routers that drop: Switch and a hash table by capacity, GShard's second expert by chance.
std::vector<Routed> dropping() {
  using config::Gate, config::RouterKind;
  return {{{.count = 3, .router = RouterKind::kTopK, .gate = Gate::kSoftmax}, {.capacity = 1}},
          {{.count = 3, .router = RouterKind::kHash}, {.capacity = 1, .random_drops = false}},
          {{.count = 3, .router = RouterKind::kTopK, .active = 2, .gate = Gate::kSoftmaxOfChosen},
           {.second_expert = config::SecondExpert::kSampled}}};
}

// Preferences that make loads uneven and second experts unlikely; a table that uses every expert.
void sharpen(net::ParameterMemory& parameters) {
  for (const net::Parameter& parameter : parameters.all()) {
    const auto values = parameters.values_of(parameter);
    for (size_t i = 0; i < values.size(); ++i) {
      if (parameter.name.ends_with("router.weight")) values[i] *= 10;
      if (parameter.name.ends_with("router.table")) values[i] = static_cast<float>(i % 3);
    }
  }
}

TEST(TrainingStep, LearnsAlthoughExpertsDrop) {
  for (const auto& [experts, routing] : dropping()) {
    SCOPED_TRACE(enum_names(experts.router)[static_cast<size_t>(experts.router)]);
    config::TrainConfig config = one_pass(routing);
    config.optimizer.learning_rate = 1e-2;
    Trainer trainer(routed_model(experts), config);
    sharpen(trainer.model.parameters());
    double first = 0, last = 0;
    int64_t all_dropped = 0;
    for (int64_t update = 0; update < 60; ++update) {
      const UpdateReport report = trainer.run({batch_of({0, 1, 2, 3})}, update);
      ASSERT_TRUE(std::isfinite(report.cross_entropy[0]) && std::isfinite(report.gradient_norm));
      (update == 0 ? first : last) = report.cross_entropy[0];
      for (const RoutingReport& of : report.routing) {
        const routing::RouteStatistics& found = of.statistics;
        all_dropped += found.dropped;
        int64_t choices = 0, beyond = 0;
        for (const int64_t load : found.load) {
          choices += load;
          beyond += std::max<int64_t>(0, load - (found.routed + 2) / 3);  // ceil(1.0 * tokens / 3)
        }
        EXPECT_EQ(choices, experts.active * found.routed) << "before any were dropped";
        if (routing.capacity > 0) {
          EXPECT_EQ(found.dropped, beyond);
        } else {
          EXPECT_LE(found.dropped, found.routed) << "no first expert";
        }
      }
    }
    EXPECT_GT(all_dropped, 0);
    EXPECT_LT(last, 0.8 * first);
  }
}

TEST(TrainingStep, NothingIsDroppedInUse) {
  const data::TokenBatch batch = batch_of({0, 1, 2, 3});
  for (const auto& [experts, routing] : dropping()) {
    SCOPED_TRACE(enum_names(experts.router)[static_cast<size_t>(experts.router)]);
    Trainer generous(routed_model(experts), one_pass()), strict(routed_model(experts), one_pass(routing));
    sharpen(generous.model.parameters());
    sharpen(strict.model.parameters());
    const at::NoGradGuard no_gradients;
    for (const bool training : {true, false}) {
      const net::ForwardContext context{.training = training,
                                        .dispatch = config::parse_dispatch("router", 1)};
      model::RouteRecord record;
      const at::Tensor states = strict.model.forward(batch, context, &record);
      EXPECT_EQ(at::equal(states, generous.model.forward(batch, context)), !training);
      int64_t dropped = 0, missing = 0, missing_first = 0;
      for (const model::RouteRecord::OfLayer& of : record.layers) {
        const at::Tensor nobody = of.experts.eq(routing::Route::kNoExpert);
        dropped += of.statistics.dropped;
        missing += nobody.sum().item<int64_t>();
        missing_first += nobody.select(1, 0).sum().item<int64_t>();
      }
      // Four rows of 5 and of 6 columns hold 14 and 15 tokens, in two layers each.
      const int64_t padding = 2 * (4 * 5 - 14) + 2 * (4 * 6 - 15);
      EXPECT_EQ(missing, padding * experts.active + dropped);
      EXPECT_EQ(dropped > 0, training);
      EXPECT_TRUE(routing.capacity > 0 || missing_first == padding) << "the first expert is always met";
    }
  }
}

// An expert layer at the end of the decoder: a token that is dropped there keeps its residual alone, as if
// experts added nothing. Of 15 tokens four experts take two each.
TEST(TrainingStep, ADroppedTokenKeepsItsResidual) {
  for (const auto position : {config::NormPosition::kPost, config::NormPosition::kPre}) {
    config::ModelConfig model =
        routed_model({.count = 4, .router = config::RouterKind::kTopK, .gate = config::Gate::kSoftmax});
    model.decoder_layers = 1;
    model.norm_position = position;
    Trainer trainer(model, one_pass({.capacity = 0.5}));
    const data::TokenBatch batch = batch_of({0, 1, 2, 3});
    const at::NoGradGuard no_gradients;
    model::RouteRecord record;
    const at::Tensor states = trainer.model.forward(batch, {.training = true}, &record);
    net::ParameterMemory& parameters = trainer.model.parameters();
    for (const char* name : {"fc2.weight", "fc2.bias"}) {
      std::ranges::fill(
          parameters.values_of(parameters.find(std::string("decoder.layers.0.feed_forward.") + name)), 0.0f);
    }
    const at::Tensor residuals = trainer.model.forward(batch, {.training = true});
    const model::RouteRecord::OfLayer& last = record.layers.back();
    ASSERT_EQ(last.stack, config::Stack::kDecoder);
    int64_t dropped = 0;
    for (int64_t row = 0; row < states.size(0); ++row) {
      const bool token = batch.target_input[static_cast<size_t>(row)] != text::kPadId;
      const bool served = last.experts[row].item<int64_t>() != routing::Route::kNoExpert;
      EXPECT_EQ(at::allclose(states[row], residuals[row], 1e-5, 1e-6), !served) << row;
      dropped += token && !served;
    }
    EXPECT_EQ(dropped, last.statistics.dropped);
    EXPECT_GE(dropped, 15 - 4 * 2);
  }
}

}  // namespace
}  // namespace megin::train
