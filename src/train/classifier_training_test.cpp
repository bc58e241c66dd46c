// Updates of a classifier: what its losses are divided by, one and two passes, learned routers, and that it
// learns.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "config/enums.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

config::ModelConfig small_classifier(int64_t experts) {
  config::ModelConfig config = small_model(experts);
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  config.classes = 3;
  return config;
}

// The class of a sentence is its first token less 5; what follows says nothing.
data::TokenBatch sentences(int64_t count, bool masked = false) {
  data::MemoryExamples examples;
  std::vector<int64_t> all;
  for (int64_t i = 0; i < count; ++i) {
    const auto label = static_cast<int32_t>(i % 3);
    std::vector<int32_t> tokens = {5 + label};
    for (int64_t t = 0; t < i % 4; ++t) tokens.push_back(static_cast<int32_t>(10 + (i + t) % 15));
    examples.add({label}, tokens);
    all.push_back(i);
  }
  return data::make_labelled_batch(examples, all, {.most = 32, .masked = masked});
}

config::TrainConfig unsmoothed_pass() {
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.objective.label_smoothing = 0;
  config.optimizer.learning_rate = 1e-2;
  return config;
}

TEST(ClassifierTraining, LossesAreBySentence) {
  Trainer trainer(small_classifier(1), unsmoothed_pass());
  // A head of zeros finds all classes alike.
  for (const char* name : {"classifier.output.weight", "classifier.output.bias"}) {
    std::ranges::fill(trainer.model.parameters().values_of(trainer.model.parameters().find(name)), 0.0f);
  }
  const UpdateReport report = trainer.run({sentences(12)}, 0);
  EXPECT_EQ(report.sentences, 12);
  EXPECT_EQ(report.predictions, 12);
  EXPECT_GT(report.target_tokens, 36);
  EXPECT_NEAR(report.nll[0], 12 * std::log(3.0), 1e-4);
}

// Gradients are means over all sentences of an update, so that accumulating is the same as a larger batch.
TEST(ClassifierTraining, MicroBatchesAreOneBatch) {
  config::TrainConfig config = unsmoothed_pass();
  config::ModelConfig model = small_classifier(1);
  const data::TokenBatch all = sentences(12);
  data::MemoryExamples examples;
  for (int64_t i = 0; i < 12; ++i) {
    const auto row = all.target_input.begin() + i * all.target_length;
    const auto end = std::find(row, row + all.target_length, 1);
    examples.add({all.labels[static_cast<size_t>(i)]}, {row + 1, end - 1});
  }
  const auto part = [&](std::vector<int64_t> indices) {
    return data::make_labelled_batch(examples, indices, {.most = 32});
  };
  // The head's dropout differs between them, but the gradient of the last bias does not see it behind weights
  // of zero.
  Trainer one(model, config), two(model, config);
  for (Trainer* trainer : {&one, &two}) {
    auto& parameters = trainer->model.parameters();
    std::ranges::fill(parameters.values_of(parameters.find("classifier.output.weight")), 0.0f);
  }
  UpdateReport whole, parts;
  one.step.accumulate(part({0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}), 0, 0, whole);
  two.step.accumulate(part({0, 1, 2, 3}), 0, 0, parts);
  two.step.accumulate(part({4, 5, 6, 7, 8, 9, 10, 11}), 0, 1, parts);
  EXPECT_EQ(whole.predictions, parts.predictions);
  EXPECT_NEAR(whole.nll[0], parts.nll[0], 1e-4);
  const at::Tensor a = one.model.parameters().get("classifier.output.bias").grad();
  const at::Tensor b = two.model.parameters().get("classifier.output.bias").grad();
  EXPECT_TRUE(at::allclose(a, b, 1e-4, 1e-5));
}

double loss_after(const config::ModelConfig& model, const config::TrainConfig& config, int64_t updates,
                  UpdateReport& last) {
  Trainer trainer(model, config);
  const data::TokenBatch batch = sentences(24, config::is_masked_lm(model));
  for (int64_t update = 0; update < updates; ++update) last = trainer.run({batch}, update);
  return last.nll[0] / static_cast<double>(last.predictions);
}

TEST(ClassifierTraining, EveryMethodLearnsAToy) {
  using config::Gate, config::RouterKind;
  std::vector<std::pair<config::ModelConfig, config::TrainConfig>> all;
  all.emplace_back(small_classifier(1), unsmoothed_pass());
  config::ModelConfig fixed = small_classifier(4);
  fixed.experts = {
      .count = 4, .every = 1, .router = RouterKind::kFixed, .active = 2, .gate = Gate::kSoftmaxOfChosen};
  all.emplace_back(fixed, unsmoothed_pass());
  config::ModelConfig learned = small_classifier(4);
  learned.experts = {.count = 4, .every = 1, .router = RouterKind::kTopK, .gate = Gate::kSoftmax};
  config::TrainConfig balanced = unsmoothed_pass();
  balanced.routing.balance = 0.01;
  all.emplace_back(learned, balanced);
  config::TrainConfig thor = unsmoothed_pass();
  thor.objective.passes = 2;
  thor.objective.alpha = 1;
  all.emplace_back(small_classifier(2), thor);
  config::ModelConfig relative = small_classifier(1);
  relative.positions = config::Positions::kRelative;
  all.emplace_back(relative, unsmoothed_pass());
  config::ModelConfig masked = small_classifier(1);
  masked.kind = config::ModelKind::kMaskedLm;
  std::swap(masked.encoder_layers, masked.decoder_layers);
  all.emplace_back(masked, unsmoothed_pass());
  for (const auto& [model, config] : all) {
    SCOPED_TRACE(config::enum_name(model.experts.router));
    UpdateReport last;
    const double loss = loss_after(model, config, 120, last);
    EXPECT_LT(loss, 0.2);
    EXPECT_EQ(last.consistency > 0, config.objective.passes == 2);
    EXPECT_EQ(last.nll[1] > 0, config.objective.passes == 2);
  }
}

// Two passes as one batch and one after the other.
TEST(ClassifierTraining, PassesTogetherAreThePassesOneByOne) {
  config::TrainConfig together = unsmoothed_pass(), apart = unsmoothed_pass();
  together.objective.passes = apart.objective.passes = 2;
  apart.plain_operations = {config::FusedPart::kPasses};
  Trainer one(small_classifier(2), together), other(small_classifier(2), apart);
  UpdateReport a, b;
  one.step.accumulate(sentences(9), 3, 0, a);
  other.step.accumulate(sentences(9), 3, 0, b);
  EXPECT_NEAR(a.nll[0], b.nll[0], 1e-4);
  EXPECT_NEAR(a.nll[1], b.nll[1], 1e-4);
  EXPECT_NEAR(a.consistency, b.consistency, 1e-4);
  EXPECT_GT(a.consistency, 0);
  EXPECT_LT(largest_difference(one.model.parameters().gradients(), other.model.parameters().gradients()),
            1e-4);
}

// Each sentence stands alone, so there is nothing for a checkpoint to keep.
TEST(ClassifierTraining, RemembersNothing) {
  config::ModelConfig model = small_classifier(1);
  model.positions = config::Positions::kRelative;
  model.memory = 8;
  const config::TrainConfig config = unsmoothed_pass();
  Trainer trainer(model, config);
  model::SegmentMemory memory;
  TrainingStep step(trainer.config, trainer.model, trainer.pool, {.memory = &memory});
  UpdateReport report;
  step.accumulate(sentences(6), 0, 0, report);
  EXPECT_TRUE(memory.passes.empty());
}

}  // namespace
}  // namespace megin::train
