// Conformance check 7 across the two columns: the training side's teacher-forced log-probabilities are those
// that the serving side computes token by token, for every dispatch mode and every option of the model.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "model/transformer.h"
#include "net/initialisation.h"
#include "runtime/transformer.h"
#include "text/vocabulary.h"
#include "train/served_models.h"

namespace megin::train {
namespace {

std::vector<config::ModelConfig> variants() {
  std::vector<config::ModelConfig> all(6, small_model());
  all[1].norm_position = config::NormPosition::kPre;
  all[2].norm = config::NormKind::kRmsNorm;
  all[2].activation = config::Activation::kGeglu;
  all[3].positions = config::Positions::kRotary;
  all[3].activation = config::Activation::kSwiglu;
  all[4].positions = config::Positions::kLearned;
  all[4].share_embeddings = config::ShareEmbeddings::kDecoder;
  all[4].activation = config::Activation::kGelu;
  all[5].share_embeddings = config::ShareEmbeddings::kNone;
  all[5].activation = config::Activation::kSilu;
  all[5].experts.every = 1;
  return all;
}

data::MemoryExamples two_pairs() {
  data::MemoryExamples examples;
  examples.add({5, 6, 7, 8, 9}, {9, 10, 11});
  examples.add({11, 12}, {13, 14, 15, 16, 17, 18});
  return examples;
}

void expect_served_as_trained(const config::ModelConfig& config, const std::vector<std::string>& modes,
                              const data::MemoryExamples& examples = two_pairs()) {
  std::vector<int64_t> all(static_cast<size_t>(examples.size()));
  std::iota(all.begin(), all.end(), 0);
  const data::TokenBatch batch = data::make_batch(examples, all);
  model::Transformer trained(config);
  net::initialise(trained.parameters(), config, 6);
  fill_routers(trained.parameters());
  const net::ParameterMemory& parameters = trained.parameters();
  const auto weights = std::make_shared<runtime::Weights>(
      config, [&](const std::string& name) { return parameters.values_of(parameters.find(name)); });
  for (const std::string& mode : modes) {
    const config::Dispatch dispatch = config::parse_dispatch(mode, 5);
    const at::NoGradGuard no_gradients;
    const at::Tensor states = trained.forward(batch, {.dispatch = dispatch});
    at::Tensor logits = at::matmul(states, trained.output_weight().t());
    if (trained.output_bias().defined()) logits = logits + trained.output_bias();
    const at::Tensor expected = at::log_softmax(logits, -1);

    const runtime::Transformer served(weights, dispatch);
    std::vector<search::Source> sources;
    for (const int64_t row : all) {
      const auto source = examples.example(row).source;
      sources.push_back({{source.begin(), source.end()}, static_cast<uint64_t>(row)});
      sources.back().tokens.push_back(text::kEndId);
    }
    const auto state = served.begin(sources, 1);
    std::vector<float> found(all.size() * 40);
    for (int64_t t = 0; t < batch.target_length; ++t) {
      std::vector<int32_t> tokens;
      for (const int64_t row : all) tokens.push_back(batch.target_input[row * batch.target_length + t]);
      served.step(*state, tokens, found);
      for (const int64_t row : all) {
        if (batch.target_output[row * batch.target_length + t] == text::kPadId) continue;
        const at::Tensor row_found = at::from_blob(found.data() + row * 40, {40});
        EXPECT_TRUE(at::allclose(row_found, expected[row * batch.target_length + t], 1e-4, 1e-4))
            << mode << " row " << row << " step " << t;
      }
    }
  }
}

// Inserted experts in both kinds of model, and one that is dense.
std::vector<config::ModelConfig> inserted_variants() {
  std::vector<config::ModelConfig> all;
  for (config::ModelConfig config : {small_model(), language_model()}) {
    config.experts = {.count = 3, .body = config::ExpertBody::kInsert, .sublayers = 2, .feed_forward = 20};
    all.push_back(config);
    all.back().experts.layers = 2;
  }
  return all;
}

TEST(ServedModel, ServesAnyNumberOfExpertsOfAFixedRouter) {
  for (const auto body : {config::ExpertBody::kReplace, config::ExpertBody::kInsert}) {
    for (const auto gate : {config::Gate::kSoftmaxOfChosen, config::Gate::kMean}) {
      config::ModelConfig config = small_model();
      config.activation = config::Activation::kSwiglu;
      config.experts = {.count = 4,
                        .body = body,
                        .every = 1,
                        .router = config::RouterKind::kFixed,
                        .active = 4,
                        .gate = gate};
      std::string by_layer = "k=1";  // 1, 2, 3, 4, 1 ...
      for (int64_t i = 1; i < config::count_expert_layers(config); ++i) {
        by_layer += "," + std::to_string(1 + i % 4);
      }
      expect_served_as_trained(config, {"router", "k=1", "k=3", "k=4", by_layer});
    }
  }
}

TEST(ServedModel, ServesSeveralDrawnExpertsAsTheyWereTrained) {
  for (const auto body : {config::ExpertBody::kReplace, config::ExpertBody::kInsert}) {
    for (const auto gate : {config::Gate::kSoftmaxOfChosen, config::Gate::kMean}) {
      config::ModelConfig config = small_model();
      config.experts = {.count = 4,
                        .body = body,
                        .every = 1,
                        .router = config::RouterKind::kUniform,
                        .active = 3,
                        .gate = gate};
      expect_served_as_trained(config, {"token", "sentence", "position", "batch", "ensemble", "path:2"});
    }
  }
}

// In use nothing is dropped and nothing rescaled.
TEST(ServedModel, ServesModelsTrainedWithDropoutOfUnits) {
  config::ModelConfig config = small_model();
  config.experts = {};
  config.group_dropout.groups = 4;
  config.concrete_dropout = 0.3;
  expect_served_as_trained(config, {"sentence"});
}

TEST(ServedModel, ServesMixturesAsTheyWereTrained) {
  for (const auto kind : {config::MixtureKind::kBegin, config::MixtureKind::kDecoder}) {
    for (config::ModelConfig config : variants()) {
      config.experts = {};
      config.mixture = {.components = 3, .kind = kind};
      expect_served_as_trained(config, {"router", "path:0", "path:2"});
    }
  }
}

TEST(ServedModel, ServesWhatImportedModelsHaveAsItWasTrained) {
  for (config::ModelConfig config : variants()) {
    config.activation = config::Activation::kGeluTanh;
    config.scale_embeddings = false;
    config.output_bias = config.begin_vector = true;
    expect_served_as_trained(config, {"token"});
    config.norm_embeddings = true;  // as an encoder_decoder has it that begins with a masked_lm
    expect_served_as_trained(config, {"token"});
  }
}

// T5 1.1 and 1.0, dense and with experts of each kind; fused operations and plain ones.
TEST(ServedModel, ServesT5AsItWasTrained) {
  config::ModelConfig config = small_model();
  config.experts = {};
  config.head_width = 9;
  config.activation = config::Activation::kGegluTanh;
  config.norm = config::NormKind::kRmsNorm;
  config.norm_position = config::NormPosition::kPre;
  config.positions = config::Positions::kBucketed;
  config.position_buckets = 6;
  config.position_distance = 4;  // the sentences reach beyond it
  config.share_embeddings = config::ShareEmbeddings::kInputs;
  config.scale_embeddings = config.scale_attention = config.biases = false;
  config.begin_vector = true;
  expect_served_as_trained(config, {"sentence"});
  config.activation = config::Activation::kRelu;
  config.share_embeddings = config::ShareEmbeddings::kAll;
  config.scale_output = config.output_bias = true;
  expect_served_as_trained(config, {"sentence"});
  config.experts = {.count = 3};
  expect_served_as_trained(config, {"token", "ensemble", "path:1"});
  config.experts = {
      .count = 4, .every = 1, .router = config::RouterKind::kFixed, .active = 4, .gate = config::Gate::kMean};
  expect_served_as_trained(config, {"router", "k=1", "k=3"});
  config.experts.body = config::ExpertBody::kInsert;
  config.experts.shared = true;
  expect_served_as_trained(config, {"router", "k=2"});
  config::ModelConfig decoder = language_model();
  decoder.positions = config::Positions::kBucketed;
  decoder.scale_attention = decoder.biases = false;
  expect_served_as_trained(decoder, {"sentence"});
}

TEST(ServedModel, ServesLanguageModelsAsTheyWereTrained) {
  expect_served_as_trained(language_model(), {"sentence"});
  config::ModelConfig rotary = language_model();
  rotary.positions = config::Positions::kRotary;
  rotary.norm = config::NormKind::kRmsNorm;
  rotary.activation = config::Activation::kSwiglu;
  rotary.share_embeddings = config::ShareEmbeddings::kNone;
  rotary.experts.count = 3;
  expect_served_as_trained(rotary, {"sentence", "token", "ensemble", "path:1"});
  config::ModelConfig relative = language_model();
  relative.positions = config::Positions::kRelative;
  relative.head_width = 9;
  relative.experts.count = 3;
  expect_served_as_trained(relative, {"sentence", "token", "ensemble", "path:1"});
  relative.norm_position = config::NormPosition::kPost;
  relative.scale_attention = false;
  expect_served_as_trained(relative, {"token"});
}

TEST(ServedModel, ServesInsertedExpertsAsTheyWereTrained) {
  for (config::ModelConfig config : inserted_variants()) {
    SCOPED_TRACE(config::is_causal_lm(config) ? "causal_lm" : "encoder_decoder");
    expect_served_as_trained(config, {"sentence", "token", "batch", "ensemble", "path:2"});
    for (config::ModelConfig routed : routed_variants()) {
      const auto router = routed.experts.router;
      const bool looks_ahead =
          router == config::RouterKind::kSentence || router == config::RouterKind::kExpertChoice;
      if (looks_ahead && config::is_causal_lm(config)) continue;
      SCOPED_TRACE(enum_names(router)[static_cast<size_t>(router)]);
      const config::ExpertConfig where = config.experts;
      routed.experts.body = where.body;
      routed.experts.layers = where.layers;
      routed.experts.sublayers = where.sublayers;
      routed.experts.feed_forward = where.feed_forward;
      config::ModelConfig with_router = config;
      with_router.experts = routed.experts;
      expect_served_as_trained(with_router, {"router"});
    }
    config.experts.count = 1;
    expect_served_as_trained(config, {"sentence"});
  }
}

TEST(ServedModel, StepsGiveTheTeacherForcedLogProbabilities) {
  for (const auto& config : variants()) {
    expect_served_as_trained(config, {"sentence", "token", "position", "batch", "ensemble", "path:1"});
  }
}

TEST(ServedModel, ChoosesExpertsAsTheModelWasTrainedTo) {
  for (const auto& config : routed_variants()) {
    SCOPED_TRACE(enum_names(config.experts.router)[static_cast<size_t>(config.experts.router)]);
    expect_served_as_trained(config, {"router"});
  }
}

// An end mark alone, on both sides: fewer tokens than experts, and nothing before it.
TEST(ServedModel, ServesABatchOfOneToken) {
  data::MemoryExamples examples;
  examples.add({}, {});
  std::vector<config::ModelConfig> all = routed_variants();
  all.push_back(small_model());
  all.back().experts = {.count = 3,
                        .every = 1,
                        .router = config::RouterKind::kFixed,
                        .active = 2,
                        .gate = config::Gate::kSoftmaxOfChosen};
  for (const config::ModelConfig& config : all) {
    SCOPED_TRACE(enum_names(config.experts.router)[static_cast<size_t>(config.experts.router)]);
    expect_served_as_trained(config, {"router"}, examples);
  }
}

}  // namespace
}  // namespace megin::train
