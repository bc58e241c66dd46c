// As served_model_test.cpp of models that say something of what they read: masked language models of its
// symbols, classifiers of all of it.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/class_head.h"
#include "model/transformer.h"
#include "net/initialisation.h"
#include "runtime/classifier.h"
#include "runtime/masked_model.h"
#include "runtime/transformer.h"
#include "text/vocabulary.h"
#include "train/served_models.h"

namespace megin::train {
namespace {

// Sentences as runtime::Classifier reads them out of letters, whose ids begin with 4.
void expect_served_classes(const config::ModelConfig& config, const std::vector<std::string>& modes) {
  const std::vector<std::string> lines = {"abcdefgh", "", "hgab", "bbbbbbbbbb"};
  const auto subword = text::SubwordModel::from_bytes(
      R"({"format":"megin-bytes","version":1,"newlines":"drop","bytes":[97,98,99,100,101,102,103,104]})",
      "letters");
  data::MemoryExamples examples;
  for (const std::string& line : lines) examples.add({0}, subword.encode(line));
  const data::TokenBatch batch = data::make_labelled_batch(
      examples, std::vector<int64_t>{0, 1, 2, 3}, {.most = 32, .masked = config::is_masked_lm(config)});
  model::Transformer trained(config);
  net::initialise(trained.parameters(), config, 6);
  const net::ParameterMemory& parameters = trained.parameters();
  const auto weights = std::make_shared<runtime::Weights>(
      config, [&](const std::string& name) { return parameters.values_of(parameters.find(name)); });
  ThreadPool pool(1);
  for (const std::string& mode : modes) {
    const config::Dispatch dispatch = config::parse_dispatch(mode, 5);
    const at::NoGradGuard no_gradients;
    const net::ForwardContext context{.dispatch = dispatch};
    const at::Tensor expected = at::log_softmax(
        model::ClassHead(parameters).logits(trained.forward(batch, context), batch, context), -1);
    const runtime::Transformer served(weights, dispatch);
    const auto found = runtime::Classifier(served, subword, {}).classify(lines, 0, pool);
    for (size_t row = 0; row < lines.size(); ++row) {
      const at::Tensor row_found = at::tensor(found[row].log_probabilities);
      EXPECT_TRUE(at::allclose(row_found, expected[static_cast<int64_t>(row)], 1e-4, 1e-4))
          << mode << " row " << row;
    }
  }
}

// The states of two rows and the probabilities at their places.
void expect_masked_as_trained(const config::ModelConfig& config, const std::vector<std::string>& modes) {
  data::TokenBatch batch;
  batch.sentences = 2;
  batch.source_length = batch.target_length = 7;
  batch.source = {0, 5, 6, 7, 8, 9, 2, 0, 11, 12, 2, 1, 1, 1};
  batch.target_output.assign(14, text::kPadId);
  batch.sentence = {0, 1};
  model::Transformer trained(config);
  net::initialise(trained.parameters(), config, 6);
  fill_routers(trained.parameters());
  const net::ParameterMemory& parameters = trained.parameters();
  const auto weights = std::make_shared<runtime::Weights>(
      config, [&](const std::string& name) { return parameters.values_of(parameters.find(name)); });
  const std::vector<search::Source> rows = {{{0, 5, 6, 7, 8, 9, 2}, 0}, {{0, 11, 12, 2}, 1}};
  for (const std::string& mode : modes) {
    const config::Dispatch dispatch = config::parse_dispatch(mode, 5);
    const at::NoGradGuard no_gradients;
    const at::Tensor states = trained.forward(batch, {.dispatch = dispatch});
    at::Tensor logits = at::matmul(trained.transformed(states, {}), trained.output_weight().t());
    if (trained.output_bias().defined()) logits = logits + trained.output_bias();
    const at::Tensor expected = at::log_softmax(logits, -1);
    const runtime::MaskedModel served(weights, dispatch);
    const runtime::TokenStates found = served.states(rows);
    for (int64_t row = 0; row < 2; ++row) {
      for (int64_t t = 0; found.offsets[row] + t < found.offsets[row + 1]; ++t) {
        const int64_t at = found.offsets[row] + t;
        std::vector<float> state(found.row(at).begin(), found.row(at).end());
        EXPECT_TRUE(
            at::allclose(at::from_blob(state.data(), {config.width}), states[row * 7 + t], 1e-4, 1e-4))
            << mode << " row " << row << " token " << t;
        std::vector<float> log_probs = served.log_probs(found, std::vector<int64_t>{at});
        EXPECT_TRUE(at::allclose(at::from_blob(log_probs.data(), {40}), expected[row * 7 + t], 1e-4, 1e-4))
            << mode << " row " << row << " token " << t;
      }
    }
  }
}

config::ModelConfig masked_language_model() {
  config::ModelConfig config = small_model();
  config.kind = config::ModelKind::kMaskedLm;
  config.decoder_layers = 0;
  config.positions = config::Positions::kLearned;
  config.activation = config::Activation::kGelu;
  config.scale_embeddings = false;
  config.norm_embeddings = config.output_transform = config.output_bias = true;
  config.experts = {};
  return config;
}

TEST(ServedModel, ServesMaskedLanguageModelsAsTheyWereTrained) {
  expect_masked_as_trained(masked_language_model(), {"sentence"});
  config::ModelConfig rotary = masked_language_model();
  rotary.positions = config::Positions::kRotary;
  rotary.norm = config::NormKind::kRmsNorm;
  rotary.norm_position = config::NormPosition::kPre;
  rotary.activation = config::Activation::kSilu;
  rotary.share_embeddings = config::ShareEmbeddings::kNone;
  rotary.experts.count = 3;
  expect_masked_as_trained(rotary, {"sentence", "token", "position", "batch", "ensemble", "path:1"});
  for (const config::ModelConfig& routed : routed_variants()) {
    SCOPED_TRACE(enum_names(routed.experts.router)[static_cast<size_t>(routed.experts.router)]);
    config::ModelConfig config = masked_language_model();
    config.experts = routed.experts;
    expect_masked_as_trained(config, {"router"});
    config.experts.body = config::ExpertBody::kInsert;
    config.experts.every = 2;
    config.experts.sublayers = 2;
    config.experts.feed_forward = 20;
    expect_masked_as_trained(config, {"router"});
  }
  config::ModelConfig fixed = masked_language_model();
  fixed.experts = {.count = 4,
                   .every = 1,
                   .feed_forward = 12,
                   .router = config::RouterKind::kFixed,
                   .active = 4,
                   .gate = config::Gate::kSoftmaxOfChosen};
  expect_masked_as_trained(fixed, {"router", "k=1", "k=3", "k=4,1,2"});
}

// The classes of sentences, with any number of experts, and segments in evaluation that would be shorter.
TEST(ServedModel, ServesClassifiersAsTheyWereTrained) {
  config::ModelConfig relative = language_model();
  relative.positions = config::Positions::kRelative;
  relative.norm_position = config::NormPosition::kPost;
  relative.evaluation_block = 3;
  config::ModelConfig masked = small_model();
  masked.kind = config::ModelKind::kMaskedLm;
  masked.decoder_layers = 0;
  masked.positions = config::Positions::kLearned;
  masked.norm_embeddings = masked.output_transform = true;
  std::vector<config::ModelConfig> all = {language_model(), relative, masked};
  for (config::ModelConfig& config : all) {
    config.classes = 3;
    config.experts = {.count = 4,
                      .every = 1,
                      .router = config::RouterKind::kFixed,
                      .active = 4,
                      .gate = config::Gate::kSoftmaxOfChosen};
    expect_served_classes(config, {"router", "k=1", "k=2", "k=4"});
    config.experts = {.count = 3, .every = 1};
    expect_served_classes(config, {"sentence", "token", "ensemble", "path:1"});
  }
}

}  // namespace
}  // namespace megin::train
