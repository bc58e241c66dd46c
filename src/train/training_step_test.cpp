#include "train/training_step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "net/initialisation.h"
#include "train/library_threads.h"

namespace megin::train {
namespace {

config::ModelConfig small_model(int64_t experts) {
  config::ModelConfig config;
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0;
  config.max_length = 32;
  config.source_vocabulary = config.target_vocabulary = 30;
  config.experts.count = experts;
  return config;
}

config::TrainConfig settings() {
  config::TrainConfig config;
  config.objective.passes = 2;
  config.optimizer.warmup = 10;
  config.optimizer.warmup_start = 1e-3;
  return config;
}

data::MemoryExamples four_pairs() {
  data::MemoryExamples examples;
  examples.add({5, 6, 7, 8}, {9, 10});
  examples.add({11, 12}, {13, 14, 15, 16, 17});
  examples.add({18, 6, 7}, {20, 21, 22});
  examples.add({23}, {24});
  return examples;
}

data::TranslationBatch batch_of(std::vector<int64_t> indices) {
  return data::make_batch(four_pairs(), indices);
}

// A model, its optimiser and a step over it.
struct Trainer {
  Trainer(const config::ModelConfig& model_config, const config::TrainConfig& train_config, int threads = 1)
      : config(train_config),
        model(model_config),
        pool(threads),
        state(model, config),
        step(config, model, pool) {
    net::initialise(model.parameters(), model_config, 1);
  }
  UpdateReport run(std::vector<data::TranslationBatch> batches, int64_t update) {
    return step.run(batches, update, state);
  }
  config::TrainConfig config;
  model::EncoderDecoder model;
  ThreadPool pool;
  OptimizerState state;
  TrainingStep step;
};

double largest_difference(std::span<const float> a, std::span<const float> b) {
  double largest = 0;
  for (size_t i = 0; i < a.size(); ++i) largest = std::max<double>(largest, std::abs(a[i] - b[i]));
  return largest;
}

// The forms of a model whose operations differ.
std::vector<std::pair<std::string, config::ModelConfig>> model_forms() {
  config::ModelConfig plain = small_model(2);
  plain.dropout = 0.1;
  std::vector<std::pair<std::string, config::ModelConfig>> forms = {{"post-norm", plain}};
  const auto add = [&](const char* name, auto&& change) {
    forms.emplace_back(name, plain);
    change(forms.back().second);
  };
  add("pre-norm", [](auto& m) { m.norm_position = config::NormPosition::kPre; });
  add("pre-norm, RMSNorm", [](auto& m) {
    m.norm_position = config::NormPosition::kPre;
    m.norm = config::NormKind::kRmsNorm;
  });
  add("SwiGLU, rotary positions", [](auto& m) {
    m.activation = config::Activation::kSwiglu;
    m.positions = config::Positions::kRotary;
  });
  add("learned positions, dropout everywhere", [](auto& m) {
    m.positions = config::Positions::kLearned;
    m.attention_dropout = m.activation_dropout = 0.1;
  });
  return forms;
}

// Some 2,000 rows, so that every operation has several parts, and sums cross them.
TEST(TrainingStep, AnyNumberOfThreadsGivesTheSameBytes) {
  config::TrainConfig config = settings();
  config.average_decay = 0.9;
  data::MemoryExamples examples;
  std::vector<int64_t> all;
  for (int32_t i = 0; i < 90; ++i) {
    examples.add(std::vector<int32_t>(static_cast<size_t>(1 + i % 11), 4 + i % 26),
                 std::vector<int32_t>(static_cast<size_t>(1 + i % 13), 4 + i * 7 % 26));
    all.push_back(i);
  }
  const data::TranslationBatch batch = data::make_batch(examples, all);
  for (const auto& [name, model_config] : model_forms()) {
    SCOPED_TRACE(name);
    std::vector<std::vector<float>> values;
    for (const int threads : {1, 2, 3, 4}) {
      set_library_threads(threads, net::Operations::kFused);
      Trainer trainer(model_config, config, threads);
      for (int64_t update = 0; update < 3; ++update) trainer.run({batch}, update);
      values.emplace_back(trainer.model.parameters().values().begin(),
                          trainer.model.parameters().values().end());
    }
    set_library_threads(1, net::Operations::kFused);
    for (size_t i = 1; i < values.size(); ++i) EXPECT_TRUE(values[i] == values[0]) << i + 1 << " threads";
  }
}

// Conformance check 5, without dropout; one expert, so that draws agree. The gradients differ by rounding
// only; they are read from the first moment, which is (1 - beta1) times the gradient, since Adam's own step
// of lr * g / |g| would amplify rounding where g is nearly zero.
TEST(TrainingStep, AccumulationEqualsTheLargerBatch) {
  Trainer whole(small_model(1), settings()), parts(small_model(1), settings());
  const UpdateReport a = whole.run({batch_of({0, 1, 2, 3})}, 0);
  const UpdateReport b = parts.run({batch_of({0, 1}), batch_of({2, 3})}, 0);
  EXPECT_EQ(a.target_tokens, b.target_tokens);
  EXPECT_EQ(a.target_tokens, 3 + 6 + 4 + 2);
  EXPECT_NEAR(a.cross_entropy[0], b.cross_entropy[0], 1e-4 * a.cross_entropy[0]);
  EXPECT_NEAR(a.gradient_norm, b.gradient_norm, 1e-5 * a.gradient_norm);
  EXPECT_LT(largest_difference(whole.state.first_moments, parts.state.first_moments), 1e-6 * a.gradient_norm);
}

// Conformance check 1: THOR with one expert is R-Drop.
TEST(TrainingStep, ThorWithOneExpertIsRDrop) {
  config::ModelConfig thor = small_model(1);
  thor.dropout = 0.2;
  config::ModelConfig dense = thor;
  thor.experts.every = 1;
  Trainer a(thor, settings()), b(dense, settings());
  for (int64_t update = 0; update < 3; ++update) {
    const UpdateReport x = a.run({batch_of({0, 1, 2})}, update), y = b.run({batch_of({0, 1, 2})}, update);
    EXPECT_EQ(x.consistency, y.consistency);
    EXPECT_GT(x.consistency, 0);
  }
  EXPECT_TRUE(std::ranges::equal(a.model.parameters().values(), b.model.parameters().values()));
}

TEST(TrainingStep, PlainOperationsGiveTheSameUpdate) {
  config::TrainConfig plain = settings();
  plain.plain_operations = true;
  Trainer a(small_model(2), settings()), b(small_model(2), plain);
  const UpdateReport x = a.run({batch_of({0, 1, 2, 3})}, 0), y = b.run({batch_of({0, 1, 2, 3})}, 0);
  EXPECT_NEAR(x.cross_entropy[1], y.cross_entropy[1], 1e-4 * y.cross_entropy[1]);
  EXPECT_NEAR(x.gradient_norm, y.gradient_norm, 1e-4 * y.gradient_norm);
  EXPECT_LT(largest_difference(a.state.first_moments, b.state.first_moments), 1e-5 * x.gradient_norm);
}

// With 8 experts and two passes most experts are drawn by neither.
TEST(TrainingStep, UnusedExpertsMoveOrRestAsAsked) {
  for (const auto unused : {config::UnusedExpert::kZeroGrad, config::UnusedExpert::kSkip}) {
    config::TrainConfig config = settings();
    config.objective.unused_expert = unused;
    config.optimizer.weight_decay = 0.1;
    Trainer trainer(small_model(8), config);
    const net::Parameter& weights =
        trainer.model.parameters().find("encoder.layers.0.feed_forward.fc1.weight");
    const auto values = trainer.model.parameters().values_of(weights);
    const std::vector<float> before(values.begin(), values.end());
    const net::ForwardContext context{.training = true, .seed = 1, .passes = 2};
    const int64_t first = trainer.model.drawn_experts(context, 0).at(0);
    const int64_t second = trainer.model.drawn_experts(context, 1).at(0);
    trainer.run({batch_of({0, 1, 2})}, 0);
    const size_t size = values.size() / 8;
    for (int64_t e = 0; e < 8; ++e) {
      const bool moved =
          largest_difference(std::span(before).subspan(e * size, size), values.subspan(e * size, size)) > 0;
      const bool drawn = e == first || e == second;
      // A zero gradient still decays the weights.
      EXPECT_EQ(moved, drawn || unused == config::UnusedExpert::kZeroGrad) << e;
    }
  }
}

TEST(TrainingStep, ALossThatIsNotFiniteChangesNothing) {
  Trainer trainer(small_model(2), settings());
  trainer.model.parameters().values()[0] = std::numeric_limits<float>::infinity();
  const auto values = trainer.model.parameters().values();
  const std::vector<float> before(values.begin(), values.end());
  EXPECT_THROW(trainer.run({batch_of({0, 1})}, 0), Error);
  EXPECT_TRUE(std::ranges::equal(before, values));
}

TEST(TrainingStep, LearnsASmallSetByHeart) {
  config::TrainConfig config = settings();
  config.optimizer.learning_rate = 1e-2;
  Trainer trainer(small_model(2), config);
  double first = 0, last = 0;
  for (int64_t update = 0; update < 150; ++update) {
    const UpdateReport report = trainer.run({batch_of({0, 1, 2, 3})}, update);
    (update == 0 ? first : last) = report.nll[0] / static_cast<double>(report.target_tokens);
  }
  EXPECT_GT(first, 2.0);
  EXPECT_LT(last, 0.5);
}

}  // namespace
}  // namespace megin::train
