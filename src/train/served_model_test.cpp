// Conformance check 7 across the two columns: the training side's teacher-forced log-probabilities are those
// that the serving side computes token by token, for every dispatch mode and every option of the model.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <numeric>

#include "model/class_head.h"
#include "model/transformer.h"
#include "net/initialisation.h"
#include "runtime/classifier.h"
#include "runtime/masked_model.h"
#include "runtime/transformer.h"
#include "text/vocabulary.h"

namespace megin::train {
namespace {

config::ModelConfig small_model() {
  config::ModelConfig config;
  config.width = 32;
  config.feed_forward = 48;
  config.heads = 4;
  config.encoder_layers = config.decoder_layers = 3;
  config.max_length = 32;
  config.source_vocabulary = config.target_vocabulary = 40;
  config.experts.count = 3;
  return config;
}

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

// Every router that models bring with them, beside norms and activations of both kinds.
std::vector<config::ModelConfig> routed_variants() {
  using config::Gate, config::RouterKind;
  std::vector<config::ModelConfig> all;
  const auto add = [&](config::ExpertConfig experts) {
    experts.count = 3;
    experts.every = 1;
    all.push_back(small_model());
    all.back().experts = experts;
    all.push_back(all.back());
    all.back().norm_position = config::NormPosition::kPre;
    all.back().activation = config::Activation::kSwiglu;
  };
  add({.router = RouterKind::kTopK, .gate = Gate::kSoftmax});
  add({.router = RouterKind::kTopK, .active = 2, .gate = Gate::kSoftmaxOfChosen, .noisy = true});
  add({.router = RouterKind::kTopK, .active = 2, .gate = Gate::kSigmoid, .biased = true});
  add({.router = RouterKind::kSentence, .gate = Gate::kSoftmax});
  add({.router = RouterKind::kBase, .gate = Gate::kSigmoid});
  add({.router = RouterKind::kHash});
  add({.router = RouterKind::kDistilled, .gate = Gate::kSigmoid});
  add({.router = RouterKind::kDistilled,
       .gate = Gate::kSigmoid,
       .distilled_input = config::DistilledInput::kBigram});
  add({.router = RouterKind::kDistilled,
       .gate = Gate::kSigmoid,
       .distilled_input = config::DistilledInput::kCnn,
       .shared = true});
  add({.router = RouterKind::kHash, .shared = true});
  add({.router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax});
  add({.router = RouterKind::kHash, .hash = config::HashTable::kPosition});
  add({.router = RouterKind::kHash, .active = 2, .gate = Gate::kMean, .hash = config::HashTable::kPosition});
  return all;
}

// What initialisation leaves at zero, or alike.
void fill_routers(net::ParameterMemory& parameters) {
  for (const net::Parameter& parameter : parameters.all()) {
    const auto values = parameters.values_of(parameter);
    for (size_t i = 0; i < values.size(); ++i) {
      if (parameter.name.ends_with("router.table")) values[i] = static_cast<float>(i * 7 % 3);
      if (parameter.name == "output.bias") values[i] = 0.3f * static_cast<float>(i % 5) - 0.6f;
      if (parameter.name.ends_with("router.bias")) values[i] = 0.05f * static_cast<float>(i);
      const bool inserted = parameter.name.find(".inserted.") != std::string::npos;
      if (inserted && parameter.name.ends_with("fc2.weight"))
        values[i] = 0.02f * static_cast<float>(i * 31 % 17) - 0.1f;
    }
  }
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

config::ModelConfig language_model() {
  config::ModelConfig config = small_model();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  config.norm_position = config::NormPosition::kPre;
  config.positions = config::Positions::kLearned;
  config.experts = {};
  return config;
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
