// Training with dropout of hidden units: what the regulariser of concrete dropout adds, and what is learned.
#include <gtest/gtest.h>

#include <cmath>

#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

constexpr double kRate = 0.2;

config::ModelConfig concrete_model() {
  config::ModelConfig model = small_model(1);
  model.concrete_dropout = kRate;
  return model;
}

config::TrainConfig one_pass(double weight, double entropy) {
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.objective.concrete_weight = weight;
  config.objective.concrete_entropy = entropy;
  return config;
}

std::vector<float> gradient_of(const config::TrainConfig& config, const std::string& name) {
  Trainer trainer(concrete_model(), config);
  UpdateReport report;
  trainer.step.accumulate(batch_of({0, 1, 2}), 0, 0, report);
  const net::Parameter& parameter = trainer.model.parameters().find(name);
  const auto all = trainer.model.parameters().gradients().subspan(static_cast<size_t>(parameter.offset),
                                                                  static_cast<size_t>(parameter.size));
  return {all.begin(), all.end()};
}

// Ten target tokens and three end marks, times the regulariser's derivatives: of the matrix 2 w W / (1 - p),
// of the rate's logit a = log(p / (1 - p)) w |W|^2 p / (1 - p) + e f a p (1 - p).
TEST(ConcreteDropout, AddsItsRegulariserForEachTargetToken) {
  constexpr double kWeight = 0.01, kEntropy = 0.02, kTokens = 13, kHidden = 24;
  const std::string layer = "decoder.layers.1.feed_forward.";
  Trainer trainer(concrete_model(), one_pass(0, 0));
  const auto matrix =
      trainer.model.parameters().values_of(trainer.model.parameters().find(layer + "fc2.weight"));
  double squares = 0;
  for (const float value : matrix) squares += static_cast<double>(value) * value;
  const auto without = gradient_of(one_pass(0, 0), layer + "fc2.weight");
  const auto with = gradient_of(one_pass(kWeight, kEntropy), layer + "fc2.weight");
  for (size_t i = 0; i < matrix.size(); ++i) {
    EXPECT_NEAR(with[i] - without[i], kTokens * 2 * kWeight * matrix[i] / (1 - kRate), 1e-5) << i;
  }
  const double logit = std::log(kRate / (1 - kRate));
  const double wanted =
      kTokens * (kWeight * squares * kRate / (1 - kRate) + kEntropy * kHidden * logit * kRate * (1 - kRate));
  EXPECT_NEAR(gradient_of(one_pass(kWeight, kEntropy), layer + "dropout.logit")[0] -
                  gradient_of(one_pass(0, 0), layer + "dropout.logit")[0],
              wanted, 1e-4 * std::abs(wanted) + 1e-4);
}

TEST(ConcreteDropout, RatesAreLearnedLayerByLayer) {
  const auto rates_after = [](const config::TrainConfig& config) {
    Trainer trainer(concrete_model(), config);
    for (int64_t update = 0; update < 40; ++update) trainer.run({batch_of({0, 1, 2, 3})}, update);
    return learned_dropout_rates(trainer.model);
  };
  Trainer untrained(concrete_model(), one_pass(0, 0));
  for (const auto& [layer, rate] : learned_dropout_rates(untrained.model))
    EXPECT_NEAR(rate, kRate, 1e-6) << layer;
  const auto by_entropy = rates_after(one_pass(0, 1)), by_weight = rates_after(one_pass(1, 0));
  EXPECT_EQ(by_entropy.size(), 4u);
  for (const char* layer : {"encoder_0", "encoder_1", "decoder_0", "decoder_1"}) {
    EXPECT_GT(by_entropy.at(layer), kRate + 0.001) << "entropy is greatest at 1/2";
    EXPECT_LT(by_weight.at(layer), kRate - 0.001) << "the norm weighs least at 0";
  }
  Trainer plain(small_model(1), one_pass(1e-6, 1e-5));
  EXPECT_TRUE(learned_dropout_rates(plain.model).empty());
}

// Without dropout the loss of a batch is the same in every update; groups are drawn anew in each.
TEST(GroupDropout, DrawsAnewInEachUpdate) {
  config::ModelConfig model = small_model(1);
  model.group_dropout = {.groups = 6, .rate = 0.5};
  const auto loss = [&](const config::ModelConfig& config, int64_t update) {
    Trainer trainer(config, one_pass(1e-6, 1e-5));
    UpdateReport report;
    trainer.step.accumulate(batch_of({0, 1}), update, 0, report);
    return report.nll[0];
  };
  EXPECT_NE(loss(model, 0), loss(model, 1));
  EXPECT_EQ(loss(model, 1), loss(model, 1));
  EXPECT_EQ(loss(small_model(1), 0), loss(small_model(1), 1));
}

}  // namespace
}  // namespace megin::train
