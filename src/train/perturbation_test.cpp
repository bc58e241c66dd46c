#include "train/perturbation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "net/initialisation.h"
#include "objective/vocabulary_loss.h"
#include "train/training_step.h"

namespace megin::train {
namespace {

config::ModelConfig small_model() {
  config::ModelConfig config;
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 1;
  config.dropout = 0;
  config.max_length = 32;
  config.source_vocabulary = config.target_vocabulary = 30;
  return config;
}

data::TokenBatch some_batch() {
  data::MemoryExamples examples;
  examples.add({5, 6, 7, 8}, {9, 10});
  examples.add({11, 12}, {13, 14, 15, 16, 17});
  return data::make_batch(examples, std::vector<int64_t>{0, 1});
}

class PerturbationTest : public testing::Test {
 protected:
  PerturbationTest() : model_(small_model()), batch_(some_batch()) {
    net::initialise(model_.parameters(), small_model(), 1);
  }

  // A report of the gradients' losses for an objective of two passes.
  UpdateReport report_of(const config::ObjectiveConfig& objective) {
    config::TrainConfig config;
    config.objective = objective;
    config.objective.passes = 2;
    ThreadPool pool(1);
    TrainingStep step(config, model_, pool);
    UpdateReport report;
    step.accumulate(batch_, 3, 0, report);
    return report;
  }

  // Of noise against none.
  double consistency(const model::EmbeddingNoise& noise) const {
    const at::NoGradGuard no_gradients;
    const at::Tensor states =
        at::cat({model_.forward(batch_, context_), model_.forward(batch_, context_, nullptr, noise)});
    return objective::chunked_vocabulary_loss({states, model_.output_weight(), batch_.target_output, 2},
                                              {.consistency = 1})
        .consistency;
  }

  static double longest(const at::Tensor& noise) {
    return noise.square().sum({1, 2}).sqrt().max().item<float>();
  }

  model::Transformer model_;
  data::TokenBatch batch_;
  net::ForwardContext context_{.training = true, .update = 3, .first_pass = 1};
};

// Conformance check 11: without noise, and without dropout, there is nothing to be consistent about.
TEST_F(PerturbationTest, NoNoiseNoRegulariser) {
  using config::Perturbation;
  for (const auto kind : {Perturbation::kNormal, Perturbation::kUniform}) {
    EXPECT_NEAR(report_of({.perturbation = {.kind = kind, .size = 0}}).consistency, 0, 1e-6);
    EXPECT_GT(report_of({.perturbation = {.kind = kind, .size = 0.1}}).consistency, 1e-4);
  }
  const config::PerturbationConfig still{
      .kind = Perturbation::kAdversarial, .size = 1, .steps = 0, .start = 0};
  EXPECT_NEAR(report_of({.perturbation = still}).consistency, 0, 1e-6);
}

// Conformance check 11: fairseq's unit with lambda is that of a token with alpha = 2 lambda tokens /
// sentences.
TEST_F(PerturbationTest, FairseqsUnitCountsTokensBySentence) {
  config::ObjectiveConfig fairseq{.alpha = 0.25, .consistency_unit = config::ConsistencyUnit::kFairseq};
  fairseq.perturbation = {.kind = config::Perturbation::kUniform, .size = 0.3};
  const auto gradient = [&](const config::ObjectiveConfig& objective) {
    std::ranges::fill(model_.parameters().gradients(), 0.0f);
    report_of(objective);
    const auto all = model_.parameters().gradients();
    return std::vector<float>(all.begin(), all.end());
  };
  const auto wanted = gradient(fairseq);
  config::ObjectiveConfig token = fairseq;
  token.consistency_unit = config::ConsistencyUnit::kToken;
  token.alpha = 0.25 * 2 * static_cast<double>(batch_.target_tokens) / 2;
  const auto found = gradient(token);
  for (size_t i = 0; i < wanted.size(); ++i)
    EXPECT_NEAR(found[i], wanted[i], 1e-4 * std::abs(wanted[i]) + 1e-6);
}

TEST_F(PerturbationTest, DrawsTheSidesAskedForAndNoPadding) {
  config::PerturbationConfig config{.kind = config::Perturbation::kUniform, .size = 0.5};
  const auto source = draw_noise(config, batch_, model_, context_);
  EXPECT_FALSE(source.target.defined());
  EXPECT_LE(source.source.abs().max().item<float>(), 0.5);
  EXPECT_GT(source.source.abs().max().item<float>(), 0.45);
  EXPECT_EQ(source.source[1].narrow(0, 3, 2).abs().sum().item<float>(), 0) << "padding";
  EXPECT_GT(source.source[1].narrow(0, 2, 1).abs().sum().item<float>(), 0) << "the end mark";
  config.target = true;
  config.kind = config::Perturbation::kNormal;
  const auto both = draw_noise(config, batch_, model_, context_);
  EXPECT_NEAR(both.source[0].std().item<float>(), 0.5, 0.1);
  EXPECT_FALSE(at::equal(both.source[0].narrow(0, 0, 3), both.target[0]));
  EXPECT_TRUE(at::equal(both.source, draw_noise(config, batch_, model_, context_).source));
}

// What SMART looks for: noise of a size that moves the prediction more than drawn noise of that size, within
// the ball, and nothing else changed.
TEST_F(PerturbationTest, AscentFindsNoiseThatMovesThePrediction) {
  config::PerturbationConfig config{.kind = config::Perturbation::kAdversarial,
                                    .size = 0.2,
                                    .target = true,
                                    .steps = 3,
                                    .step_size = 1,
                                    .start = 1e-3,
                                    .normalised = true};
  const at::Tensor first = model_.forward(batch_, context_);
  const auto found = find_adversarial_noise(config, batch_, model_, context_, first);
  EXPECT_NEAR(longest(found.source), 0.2, 1e-4);
  EXPECT_NEAR(longest(found.target), 0.2, 1e-4);
  EXPECT_FALSE(found.source.requires_grad());
  for (const float gradient : model_.parameters().gradients()) ASSERT_EQ(gradient, 0);
  config.steps = 0;
  config.start = 1;  // drawn, then brought to the same size
  auto drawn = find_adversarial_noise(config, batch_, model_, context_, first);
  for (at::Tensor* const side : {&drawn.source, &drawn.target}) {
    *side = *side * (0.2 / side->square().sum({1, 2}, true).sqrt());
  }
  EXPECT_GT(consistency(found), 1.5 * consistency(drawn));
}

// A step is the gradient times its size where the ball is far: against finite differences.
TEST_F(PerturbationTest, AStepGoesAlongTheGradient) {
  const config::PerturbationConfig config{
      .kind = config::Perturbation::kAdversarial, .size = 100, .steps = 1, .step_size = 0.05, .start = 0.3};
  config::PerturbationConfig still = config;
  still.steps = 0;
  const at::Tensor first = model_.forward(batch_, context_);
  const auto before = find_adversarial_noise(still, batch_, model_, context_, first);
  const auto after = find_adversarial_noise(config, batch_, model_, context_, first);
  const at::Tensor gradient = (after.source - before.source) / 0.05;
  const at::Tensor direction = gradient / gradient.norm();
  const double step = 0.02;
  const double slope = (consistency({before.source + step * direction, {}}) -
                        consistency({before.source - step * direction, {}})) /
                       (2 * step);
  EXPECT_NEAR(slope, gradient.norm().item<float>(), 0.05 * slope);
}

TEST_F(PerturbationTest, ALanguageModelIsPerturbedWhereItReads) {
  config::ModelConfig config = small_model();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  const model::Transformer lm(config);
  const auto noise = draw_noise({.kind = config::Perturbation::kNormal, .size = 1}, batch_, lm, context_);
  EXPECT_FALSE(noise.source.defined());
  EXPECT_TRUE(noise.target.defined());
}

}  // namespace
}  // namespace megin::train
