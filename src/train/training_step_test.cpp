#include "train/training_step.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "train/library_threads.h"
#include "train/plain_adam.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

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
  const auto add_router = [&](const char* name, config::ExpertConfig experts) {
    experts.count = 3;
    add(name, [&](auto& m) { m.experts = experts; });
  };
  using config::Gate, config::RouterKind;
  add_router("switch", {.router = RouterKind::kTopK, .gate = Gate::kSoftmax});
  add_router("two noisy experts",
             {.router = RouterKind::kTopK, .active = 2, .gate = Gate::kSoftmaxOfChosen, .noisy = true});
  add_router("loss-free", {.router = RouterKind::kTopK, .active = 2, .gate = Gate::kSigmoid, .biased = true});
  add_router("by sentence", {.router = RouterKind::kSentence, .gate = Gate::kSoftmax});
  add_router("hash", {.router = RouterKind::kHash});
  add_router("base", {.router = RouterKind::kBase, .gate = Gate::kSigmoid});
  add_router("uniform", {.router = RouterKind::kUniform});
  add_router("distilled", {.router = RouterKind::kDistilled, .gate = Gate::kSigmoid});
  add_router("distilled by five symbols, with a shared expert",
             {.router = RouterKind::kDistilled,
              .gate = Gate::kSigmoid,
              .distilled_input = config::DistilledInput::kCnn,
              .shared = true});
  add_router("expert choice", {.router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax});
  add_router("fixed", {.router = RouterKind::kFixed, .active = 3, .gate = Gate::kSoftmaxOfChosen});
  add_router(
      "hash by position",
      {.router = RouterKind::kHash, .active = 2, .gate = Gate::kMean, .hash = config::HashTable::kPosition});
  add_router("several drawn", {.router = RouterKind::kUniform, .active = 2, .gate = Gate::kSoftmaxOfChosen});
  add("dropout of groups", [](auto& m) {
    m.experts = {};
    m.group_dropout.groups = 5;
  });
  add("concrete dropout", [](auto& m) {
    m.experts = {};
    m.concrete_dropout = 0.2;
  });
  add_router("inserted", {.body = config::ExpertBody::kInsert,
                          .sublayers = 2,
                          .router = RouterKind::kTopK,
                          .gate = Gate::kSigmoid,
                          .shared = true});
  return forms;
}

// Some 2,000 rows, so that every operation has several parts, and sums cross them.
TEST(TrainingStep, AnyNumberOfThreadsGivesTheSameBytes) {
  config::TrainConfig config = settings();
  config.average_decay = 0.9;
  config.routing = {.balance = 0.01, .z_loss = 0.001, .jitter = 0.01, .first_stage = 2};
  data::MemoryExamples examples;
  std::vector<int64_t> all;
  for (int32_t i = 0; i < 90; ++i) {
    examples.add(std::vector<int32_t>(static_cast<size_t>(1 + i % 11), 4 + i % 26),
                 std::vector<int32_t>(static_cast<size_t>(1 + i % 13), 4 + i * 7 % 26));
    all.push_back(i);
  }
  const data::TokenBatch batch = data::make_batch(examples, all);
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

TEST(TrainingStep, PerturbedPassesGiveTheSameBytesAtAnyNumberOfThreads) {
  data::MemoryExamples examples;
  std::vector<int64_t> all;
  for (int32_t i = 0; i < 60; ++i) {
    examples.add(std::vector<int32_t>(static_cast<size_t>(1 + i % 11), 4 + i % 26),
                 std::vector<int32_t>(static_cast<size_t>(1 + i % 13), 4 + i * 7 % 26));
    all.push_back(i);
  }
  const data::TokenBatch batch = data::make_batch(examples, all);
  config::TrainConfig config = settings();
  config.objective.fixed_first = true;
  for (const auto kind : {config::Perturbation::kNormal, config::Perturbation::kAdversarial}) {
    config.objective.perturbation = {.kind = kind,
                                     .size = 0.3,
                                     .target = true,
                                     .steps = 2,
                                     .step_size = 1,
                                     .start = 0.1,
                                     .normalised = true};
    std::vector<std::vector<float>> values;
    for (const int threads : {1, 3}) {
      set_library_threads(threads, net::Operations::kFused);
      Trainer trainer(small_model(2), config, threads);
      for (int64_t update = 0; update < 2; ++update) trainer.run({batch}, update);
      const auto found = trainer.model.parameters().values();
      values.emplace_back(found.begin(), found.end());
    }
    set_library_threads(1, net::Operations::kFused);
    EXPECT_TRUE(values[0] == values[1]);
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

// Each part alone, and all of them.
TEST(TrainingStep, PlainOperationsGiveTheSameUpdate) {
  for (size_t part = 0; part < enum_names(config::FusedPart{}).size(); ++part) {
    SCOPED_TRACE(enum_names(config::FusedPart{})[part]);
    config::TrainConfig fused = settings();
    fused.optimizer.weight_decay = 0.1;
    fused.average_decay = 0.9;
    config::TrainConfig plain = fused;
    plain.plain_operations = {static_cast<config::FusedPart>(part)};
    Trainer a(small_model(2), fused), b(small_model(2), plain);
    const UpdateReport x = a.run({batch_of({0, 1, 2, 3})}, 0), y = b.run({batch_of({0, 1, 2, 3})}, 0);
    EXPECT_NEAR(x.cross_entropy[1], y.cross_entropy[1], 1e-4 * y.cross_entropy[1]);
    EXPECT_NEAR(x.gradient_norm, y.gradient_norm, 1e-4 * y.gradient_norm);
    EXPECT_LT(largest_difference(a.state.first_moments, b.state.first_moments), 1e-5 * x.gradient_norm);
  }
}

// From the same moments and gradients both forms of the optimiser step to the same values.
TEST(TrainingStep, ThePlainOptimiserStepsAsTheFusedOne) {
  for (const auto kind :
       {config::OptimizerKind::kAdam, config::OptimizerKind::kAdamW, config::OptimizerKind::kRAdam}) {
    const config::OptimizerConfig config{.kind = kind, .weight_decay = 0.1};
    std::array<std::vector<float>, 2> values, gradients, first, second, average;
    std::array<std::vector<optim::Segment>, 2> segments;
    ThreadPool pool(1);
    for (size_t form = 0; form < 2; ++form) {
      for (int i = 0; i < 40; ++i) {
        values[form].push_back(std::sin(1.0f * static_cast<float>(i)));
        gradients[form].push_back(std::cos(3.0f * static_cast<float>(i)));
      }
      first[form] = second[form] = std::vector<float>(40);
      average[form] = values[form];
      segments[form] = {{.offset = 0, .size = 16}, {.offset = 16, .size = 24}};
      for (int update = 0; update < 8; ++update) {
        segments[form][1].active = update % 3 != 0;
        const optim::AdamMemory memory{values[form], gradients[form], first[form], second[form],
                                       average[form]};
        const optim::AdamStep step{.learning_rate = 0.01, .gradient_scale = 0.5, .average_decay = 0.7};
        if (form == 0) {
          optim::Adam(config).update(memory, segments[form], step, pool);
        } else {
          plain_adam_update(config, memory, segments[form], step);
        }
      }
    }
    // Values are below 2: a rounding is 1e-7, and there are 8 updates of a few operations.
    EXPECT_LT(largest_difference(values[0], values[1]), 3e-6);
    EXPECT_LT(largest_difference(average[0], average[1]), 3e-6);
    EXPECT_EQ(segments[0][1].steps, segments[1][1].steps);
  }
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
