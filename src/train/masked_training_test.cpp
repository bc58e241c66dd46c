// Training of masked language models: what their loss is of, that they learn, and that it depends on nothing
// it should not.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "data/masked_stream.h"
#include "objective/vocabulary_loss.h"
#include "text/small_vocabulary.h"
#include "text/vocabulary.h"
#include "train/predictions.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

config::ModelConfig masked_model(int64_t experts = 1) {
  config::ModelConfig config = small_model(experts);
  config.kind = config::ModelKind::kMaskedLm;
  config.decoder_layers = 0;
  config.norm_embeddings = config.output_transform = config.output_bias = true;
  config.max_length = 12;
  config.source_vocabulary = config.target_vocabulary = text::small_vocabulary().size();
  config.experts.every = 1;
  return config;
}

config::TrainConfig unsmoothed_pass() {
  config::TrainConfig config = settings();
  config.objective.passes = 1;
  config.objective.label_smoothing = 0;
  return config;
}

// Lines that count up from a few beginnings: a masked token follows from its neighbours.
data::MemoryExamples counting() {
  data::MemoryExamples text;
  for (int32_t line = 0; line < 40; ++line) {
    std::vector<int32_t> tokens;
    for (int32_t i = 0; i < 10; ++i) tokens.push_back(10 + (line * 3 + i) % 20);
    text.add({}, tokens);
  }
  return text;
}

data::MaskedStream stream_of(const data::MemoryExamples& text, uint64_t seed = 1) {
  return {text,
          {.row_tokens = 12, .max_tokens = 96, .seed = seed},
          text::Masking({}, text::small_vocabulary(), seed)};
}

// The mean of -log p over the predicted tokens, from whole logits of every place.
TEST(MaskedTraining, TheLossIsOfThePredictedTokensAlone) {
  const data::MemoryExamples text = counting();
  data::TokenBatch batch = stream_of(text).next();
  for (const auto& plain : {std::vector<config::FusedPart>{}, {config::FusedPart::kAll}}) {
    config::TrainConfig config = unsmoothed_pass();
    config.plain_operations = plain;
    Trainer trainer(masked_model(), config);
    UpdateReport report;
    trainer.step.accumulate(batch, 0, 0, report);
    const at::NoGradGuard no_gradients;
    const at::Tensor states =
        trainer.model.transformed(trainer.model.forward(batch, {}), net::Operations::kPlain);
    const at::Tensor logits =
        at::matmul(states, trainer.model.output_weight().t()) + trainer.model.output_bias();
    const at::Tensor logp = at::log_softmax(logits.to(at::kDouble), -1);
    double wanted = 0;
    int64_t asked = 0;
    for (size_t i = 0; i < batch.target_output.size(); ++i) {
      if (batch.target_output[i] == text::kPadId) continue;
      wanted -= logp[static_cast<int64_t>(i)][batch.target_output[i]].item<double>();
      ++asked;
    }
    EXPECT_EQ(report.target_tokens, asked);
    EXPECT_EQ(report.source_tokens, batch.source_tokens);
    EXPECT_NEAR(report.nll[0], wanted, 1e-4 * wanted);
  }
}

TEST(MaskedTraining, PredictionsOfTwoPassesStandPassAfterPass) {
  const data::MemoryExamples text = counting();
  const data::TokenBatch batch = stream_of(text).next();
  Trainer trainer(masked_model(), unsmoothed_pass());
  const at::NoGradGuard no_gradients;
  const at::Tensor states = trainer.model.forward(batch, {});
  const at::Tensor two = at::cat({states, 2 * states});
  const Predictions found = predictions_of(trainer.model, two, batch, 2, {});
  const Predictions first = predictions_of(trainer.model, states, batch, 1, {});
  const Predictions second = predictions_of(trainer.model, 2 * states, batch, 1, {});
  EXPECT_EQ(static_cast<int64_t>(found.targets.size()), batch.target_tokens);
  EXPECT_EQ(found.targets, first.targets);
  EXPECT_TRUE(at::allclose(found.states, at::cat({first.states, second.states}), 1e-6, 1e-6));
}

// A batch of line ends asks for nothing.
TEST(MaskedTraining, ABatchWithoutPredictionsChangesNoLoss) {
  data::TokenBatch batch;
  batch.sentences = 1;
  batch.source_length = batch.target_length = 3;
  batch.source = {text::kBeginId, text::kEndId, text::kEndId};
  batch.target_output.assign(3, text::kPadId);
  batch.sentence = {0};
  batch.source_tokens = 3;
  for (const auto& plain : {std::vector<config::FusedPart>{}, {config::FusedPart::kAll}}) {
    config::TrainConfig config = unsmoothed_pass();
    config.plain_operations = plain;
    Trainer trainer(masked_model(), config);
    UpdateReport report;
    trainer.step.accumulate(batch, 0, 0, report);
    EXPECT_EQ(report.nll[0], 0);
    EXPECT_EQ(report.target_tokens, 0);
    for (const float gradient : trainer.model.parameters().gradients()) ASSERT_EQ(gradient, 0);
  }
}

TEST(MaskedTraining, LearnsWithEveryKindOfObjectiveAndRouter) {
  using config::Gate, config::RouterKind;
  std::vector<std::pair<std::string, std::pair<config::ModelConfig, config::TrainConfig>>> forms;
  const auto add = [&](const char* name, auto&& change) {
    forms.push_back({name, {masked_model(), unsmoothed_pass()}});
    change(forms.back().second.first, forms.back().second.second);
  };
  add("dense", [](auto&, auto&) {});
  add("pre-norm", [](auto& m, auto&) { m.norm_position = config::NormPosition::kPre; });
  add("thor", [](auto& m, auto& t) {
    m.experts.count = 2;
    t.objective.passes = 2;
  });
  add("smart", [](auto&, auto& t) {
    t.objective.passes = 2;
    t.objective.alpha = 1;
    t.objective.weight_second = 0;
    t.objective.perturbation = {.kind = config::Perturbation::kAdversarial, .size = 0.3, .target = true};
  });
  add("smoe_dropout", [](auto& m, auto&) {
    m.experts = {.count = 4,
                 .every = 1,
                 .feed_forward = 6,
                 .router = RouterKind::kFixed,
                 .active = 4,
                 .gate = Gate::kSoftmaxOfChosen};
  });
  add("by sentence", [](auto& m, auto&) {
    m.experts = {.count = 3, .every = 1, .router = RouterKind::kSentence, .gate = Gate::kSoftmax};
  });
  add("expert choice", [](auto& m, auto&) {
    m.experts = {
        .count = 3, .every = 1, .router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax};
  });
  const data::MemoryExamples text = counting();
  for (auto& [name, form] : forms) {
    SCOPED_TRACE(name);
    auto& [model, train] = form;
    train.optimizer.learning_rate = 1e-2;
    Trainer trainer(model, train);
    data::MaskedStream stream = stream_of(text);
    const auto mean_loss = [&](int64_t from, int64_t to) {
      double nll = 0, tokens = 0;
      for (int64_t update = from; update < to; ++update) {
        const UpdateReport report = trainer.run({stream.next()}, update);
        nll += report.nll[0];
        tokens += static_cast<double>(report.target_tokens);
      }
      return nll / tokens;
    };
    const double begin = mean_loss(0, 5);
    mean_loss(5, 80);
    const double end = mean_loss(80, 100);
    EXPECT_LT(end, begin - 1.0) << "20 symbols of 263 remain: log 263 is 5.6, log 20 is 3.0";
  }
}

TEST(MaskedTraining, GivesTheSameBytesAtAnyNumberOfThreads) {
  const data::MemoryExamples text = counting();
  std::vector<std::vector<float>> found;
  for (const int threads : {1, 3}) {
    Trainer trainer(masked_model(2), settings(), threads);
    data::MaskedStream stream = stream_of(text);
    for (int64_t update = 0; update < 5; ++update) trainer.run({stream.next()}, update);
    const auto values = trainer.model.parameters().values();
    found.emplace_back(values.begin(), values.end());
  }
  EXPECT_EQ(found[0], found[1]);
}

}  // namespace
}  // namespace megin::train
