#include "runtime/transformer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "base/error.h"
#include "runtime/decoder.h"
#include "runtime/random_weights.h"
#include "runtime/reference_model.h"
#include "store/tensor_names.h"

namespace megin::runtime {
namespace {

using config::Activation;
using config::Dispatch;
using config::DispatchMode;
using config::ModelConfig;
using config::Positions;
using search::Source;
using Tokens = std::vector<int32_t>;

ModelConfig small_config() {
  ModelConfig config;
  config.width = 12;
  config.feed_forward = 20;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 2;
  config.max_length = 40;
  config.source_vocabulary = config.target_vocabulary = 19;
  return config;
}

ModelConfig expert_config() {
  ModelConfig config = small_config();
  config.encoder_layers = config.decoder_layers = 3;
  config.experts = {.count = 3, .every = 2, .offset = 0};
  return config;
}

Dispatch dispatch_by(DispatchMode mode, uint64_t seed = 1, std::vector<int64_t> path = {}) {
  return {mode, seed, std::move(path)};
}

std::shared_ptr<const Weights> make_weights(const ModelConfig& config, uint64_t seed = 1) {
  return std::make_shared<Weights>(config, random_weights(config, seed));
}

std::vector<Source> some_sources(size_t count) {
  std::mt19937 generator(11);
  std::vector<Source> sources;
  for (size_t s = 0; s < count; ++s) {
    Source source{{}, 100 + s};
    for (size_t t = 0; t < 1 + (s * 5) % 23; ++t)
      source.tokens.push_back(static_cast<int32_t>(generator() % 19));
    sources.push_back(source);
  }
  return sources;
}

// Log-probabilities [step][row * vocabulary] of feeding the same number of tokens to each row.
std::vector<std::vector<float>> feed(const Transformer& model, std::span<const Source> sources,
                                     const std::vector<Tokens>& targets) {
  const auto state = model.begin(sources, 1);
  std::vector<std::vector<float>> steps;
  for (size_t t = 0; t < targets[0].size(); ++t) {
    Tokens tokens;
    for (const Tokens& target : targets) tokens.push_back(target[t]);
    steps.emplace_back(targets.size() * static_cast<size_t>(model.vocabulary()));
    model.step(*state, tokens, steps.back());
  }
  return steps;
}

std::vector<Tokens> some_targets(size_t count, size_t length) {
  std::mt19937 generator(12);
  std::vector<Tokens> targets(count, Tokens{2});
  for (Tokens& target : targets) {
    while (target.size() < length) target.push_back(static_cast<int32_t>(generator() % 19));
  }
  return targets;
}

void expect_equals_reference(const ModelConfig& config, const Dispatch& dispatch, size_t length,
                             uint64_t seed = 1) {
  const auto weights = make_weights(config, seed);
  const Transformer model(weights, dispatch);
  const ReferenceModel reference(config, weights->tensors, dispatch);
  const auto sources = some_sources(4);
  const auto targets = some_targets(4, length);
  const auto steps = feed(model, sources, targets);
  const size_t vocabulary = static_cast<size_t>(config.target_vocabulary);
  for (size_t s = 0; s < sources.size(); ++s) {
    const Matrix wanted = reference.log_probs(sources[s].tokens, targets[s], sources[s].sentence);
    for (size_t t = 0; t < steps.size(); ++t) {
      for (size_t v = 0; v < vocabulary; ++v) {
        ASSERT_NEAR(steps[t][s * vocabulary + v], wanted[t][v], 5e-5)
            << "row " << s << " step " << t << " id " << v;
      }
    }
  }
}

// Every router that a model brings with it.
std::vector<ModelConfig> routed_configs() {
  using config::Gate, config::RouterKind;
  std::vector<ModelConfig> all;
  const auto add = [&](config::ExpertConfig experts) {
    experts.count = 5;
    all.push_back(expert_config());
    all.back().experts = experts;
  };
  add({.router = RouterKind::kTopK, .gate = Gate::kSoftmax});
  add({.router = RouterKind::kTopK, .active = 3, .gate = Gate::kSoftmaxOfChosen});
  add({.every = 1, .router = RouterKind::kTopK, .active = 2, .gate = Gate::kSigmoid, .biased = true});
  add({.router = RouterKind::kTopK, .active = 2, .gate = Gate::kSoftmax, .biased = true});
  add({.router = RouterKind::kSentence, .gate = Gate::kSoftmax});
  add({.router = RouterKind::kBase, .gate = Gate::kSigmoid});
  add({.router = RouterKind::kHash});
  add({.router = RouterKind::kDistilled, .gate = Gate::kSigmoid, .distilled_width = 4});
  add({.router = RouterKind::kDistilled,
       .gate = Gate::kSigmoid,
       .distilled_input = config::DistilledInput::kBigram,
       .distilled_width = 4});
  add({.router = RouterKind::kDistilled,
       .gate = Gate::kSigmoid,
       .distilled_input = config::DistilledInput::kCnn,
       .distilled_width = 4,
       .shared = true});
  add({.every = 1, .router = RouterKind::kTopK, .gate = Gate::kSoftmax, .shared = true});
  add({.every = 1, .router = RouterKind::kFixed, .active = 5, .gate = Gate::kSoftmaxOfChosen});
  add({.every = 1, .router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax});
  return all;
}

// The models of an inserted layer, and the language models, of a configuration.
std::vector<ModelConfig> other_shapes(const ModelConfig& config) {
  std::vector<ModelConfig> all(3, config);
  for (ModelConfig* inserted : {&all[0], &all[1]}) {
    inserted->experts.body = config::ExpertBody::kInsert;
    inserted->experts.layers = 2;
    inserted->experts.sublayers = 2;
    inserted->experts.feed_forward = 14;
  }
  for (ModelConfig* lm : {&all[1], &all[2]}) {
    lm->kind = config::ModelKind::kCausalLm;
    lm->encoder_layers = 0;
    lm->norm_position = config::NormPosition::kPre;
  }
  return all;
}

TEST(Transformer, RoutesAsTheReferenceDoes) {
  for (const ModelConfig& config : routed_configs()) {
    SCOPED_TRACE(enum_names(config.experts.router)[static_cast<size_t>(config.experts.router)]);
    expect_equals_reference(config, dispatch_by(DispatchMode::kRouter), 12);
  }
}

// One, some and all experts of a fixed router, as the model has it and as asked for, with each gate.
TEST(Transformer, MeetsAnyNumberOfExpertsAsTheReferenceDoes) {
  for (const auto gate : {config::Gate::kSoftmaxOfChosen, config::Gate::kSoftmax, config::Gate::kSigmoid,
                          config::Gate::kMean}) {
    for (const auto activation : {Activation::kRelu, Activation::kSwiglu}) {
      ModelConfig config = expert_config();
      config.activation = activation;
      config.experts = {
          .count = 5, .every = 1, .router = config::RouterKind::kFixed, .active = 5, .gate = gate};
      for (const int64_t active : {0, 1, 3, 5}) {
        const Dispatch dispatch{.mode = DispatchMode::kRouter,
                                .active = active > 0 ? std::vector{active} : std::vector<int64_t>{}};
        expect_equals_reference(config, dispatch, 6);
        for (const ModelConfig& shape : other_shapes(config)) {
          expect_equals_reference(shape, dispatch, 6);
        }
      }
    }
  }
}

// The drawn expert with the gate that its router gives it, or another.
TEST(Transformer, DrawsExpertsPastARouterAsTheReferenceDoes) {
  using config::Gate, config::RouterKind;
  for (const config::ExpertConfig& experts :
       {config::ExpertConfig{.count = 3, .every = 1, .router = RouterKind::kTopK, .gate = Gate::kSoftmax},
        config::ExpertConfig{.count = 3, .every = 1, .router = RouterKind::kBase, .gate = Gate::kSigmoid},
        config::ExpertConfig{
            .count = 3, .every = 1, .router = RouterKind::kDistilled, .gate = Gate::kSigmoid},
        config::ExpertConfig{.count = 3, .every = 1, .router = RouterKind::kHash}}) {
    ModelConfig config = expert_config();
    config.experts = experts;
    for (const std::optional<float> gate : {std::optional<float>(), std::optional<float>(0.6F)}) {
      for (Dispatch dispatch : {config::parse_dispatch("token", 3), config::parse_dispatch("sentence", 3),
                                config::parse_dispatch("path:1", 3), config::parse_dispatch("router", 3)}) {
        dispatch.gate = gate;
        expect_equals_reference(config, dispatch, 5);
        for (const ModelConfig& shape : other_shapes(config)) expect_equals_reference(shape, dispatch, 5);
      }
    }
  }
}

std::vector<ModelConfig> mixtures() {
  std::vector<ModelConfig> all;
  for (const auto kind : {config::MixtureKind::kBegin, config::MixtureKind::kDecoder}) {
    for (const auto norm : {config::NormPosition::kPost, config::NormPosition::kPre}) {
      all.push_back(small_config());
      all.back().norm_position = norm;
      all.back().mixture = {.components = 3, .kind = kind};
    }
  }
  return all;
}

// Random weights by whose prior the first sources do not all have the same component.
uint64_t seed_of_mixed_components(const ModelConfig& config) {
  for (uint64_t seed = 1;; ++seed) {
    const DecoderState state(*make_weights(config, seed), dispatch_by(DispatchMode::kRouter), some_sources(4),
                             1);
    for (int64_t s = 1; s < 4; ++s) {
      if (state.memory.component(s) != state.memory.component(0)) return seed;
    }
  }
}

// One component for all, and each source's likeliest.
TEST(Transformer, MixturesEqualTheReference) {
  for (const ModelConfig& config : mixtures()) {
    const uint64_t seed = seed_of_mixed_components(config);
    expect_equals_reference(config, dispatch_by(DispatchMode::kRouter), 7, seed);
    expect_equals_reference(config, dispatch_by(DispatchMode::kPath, 1, {2}), 7, seed);
    ModelConfig uniform = config;
    uniform.mixture.prior = config::MixturePrior::kUniform;
    expect_equals_reference(uniform, dispatch_by(DispatchMode::kPath, 1, {1}), 7);
  }
}

TEST(Transformer, ARoutedRowDoesNotDependOnItsBatch) {
  auto configs = routed_configs();
  std::ranges::copy(mixtures(), std::back_inserter(configs));
  for (const ModelConfig& config : configs) {
    SCOPED_TRACE(enum_names(config.experts.router)[static_cast<size_t>(config.experts.router)]);
    const uint64_t seed = config::is_mixture(config) ? seed_of_mixed_components(config) : 1;
    const Transformer model(make_weights(config, seed), dispatch_by(DispatchMode::kRouter));
    const auto sources = some_sources(6);
    const auto targets = some_targets(6, 9);
    const auto together = feed(model, sources, targets);
    const size_t vocabulary = static_cast<size_t>(model.vocabulary());
    for (size_t s = 0; s < sources.size(); ++s) {
      const auto alone = feed(model, std::span(sources).subspan(s, 1), {targets[s]});
      for (size_t t = 0; t < alone.size(); ++t) {
        EXPECT_EQ(
            std::memcmp(alone[t].data(), together[t].data() + s * vocabulary, vocabulary * sizeof(float)), 0)
            << "row " << s << " step " << t;
      }
    }
  }
}

TEST(Transformer, InsertedExpertsAndLanguageModelsEqualTheReference) {
  for (const ModelConfig& config : routed_configs()) {
    SCOPED_TRACE(enum_names(config.experts.router)[static_cast<size_t>(config.experts.router)]);
    for (const ModelConfig& shape : other_shapes(config)) {
      const bool looks_ahead =
          config::is_causal_lm(shape) && (shape.experts.router == config::RouterKind::kSentence ||
                                          shape.experts.router == config::RouterKind::kExpertChoice);
      if (!looks_ahead) expect_equals_reference(shape, dispatch_by(DispatchMode::kRouter), 12);
    }
  }
  for (const ModelConfig& shape : other_shapes(expert_config())) {
    for (const auto mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kEnsemble}) {
      expect_equals_reference(shape, dispatch_by(mode, 9), 12);
    }
    ModelConfig dense = shape;
    dense.experts.count = 1;
    expect_equals_reference(dense, {}, 12);
  }
}

TEST(Transformer, ATableThatNamesNoExpertIsAnError) {
  ModelConfig config = expert_config();
  config.experts.router = config::RouterKind::kHash;
  const TensorSource random = random_weights(config, 1);
  const std::vector<float> wrong(19, 2.5F);
  const TensorSource source = [&](const std::string& name) {
    return name.ends_with("router.table") ? std::span<const float>(wrong) : random(name);
  };
  EXPECT_THROW(Weights(config, source), Error);
}

// A model of width 2 whose weights are 0 and whose biases make the numbers: see the test.
TEST(Transformer, GivesTheNumbersWorkedOutByHand) {
  ModelConfig config;
  config.width = config.feed_forward = 2;
  config.heads = config.encoder_layers = config.decoder_layers = 1;
  config.positions = Positions::kLearned;
  config.max_length = 4;
  config.norm_epsilon = 1e-12;
  config.source_vocabulary = config.target_vocabulary = 4;
  std::map<std::string, std::vector<float>> tensors;
  for (const auto& tensor : store::tensor_shapes(config)) {
    size_t size = 1;
    for (const int64_t n : tensor.shape) size *= static_cast<size_t>(n);
    const bool scale = tensor.name.ends_with("norm.weight");
    tensors[tensor.name].assign(size, scale ? 1.0F : 0.0F);
  }
  tensors["embedding.weight"] = {0, 0, 1, 0, 3, 1, 0, 1};
  tensors["decoder.layers.0.cross_attention.key_value.bias"] = {0, 0, 0, 4};
  tensors["decoder.layers.0.cross_attention.output.weight"] = {1, 0, 0, 1};
  tensors["decoder.layers.0.feed_forward.fc2.bias"] = {3, 0};
  const auto weights = std::make_shared<Weights>(
      config, [&](const std::string& name) { return std::span<const float>(tensors.at(name)); });
  const Transformer model(weights, {});
  // Token 2: sqrt(2) (3, 1), normed to (1, -1). Cross-attention adds (0, 4): (1, 3), normed (-1, 1). The
  // feed-forward adds (3, 0): (2, 1), normed h = (1, -1). Logits h E^T = 0, 1, 2, -1; ln of their sum of
  // exponentials 2.4401897.
  const auto steps = feed(model, std::vector<Source>{{{3, 2}, 0}}, {{2}});
  const std::vector<double> wanted = {-2.4401897, -1.4401897, -0.4401897, -3.4401897};
  for (size_t v = 0; v < 4; ++v) EXPECT_NEAR(steps[0][v], wanted[v], 1e-5);
}

TEST(Transformer, EqualsPlainLoopsInDoubleForAllOptions) {
  for (const auto position : {config::NormPosition::kPost, config::NormPosition::kPre}) {
    for (const auto norm : {config::NormKind::kLayerNorm, config::NormKind::kRmsNorm}) {
      for (const auto positions : {Positions::kSinusoidal, Positions::kLearned, Positions::kRotary}) {
        for (const auto share : {config::ShareEmbeddings::kAll, config::ShareEmbeddings::kDecoder,
                                 config::ShareEmbeddings::kNone}) {
          for (int activation = 0; activation < 7; ++activation) {
            ModelConfig config = small_config();
            config.norm_position = position;
            config.norm = norm;
            config.positions = positions;
            config.share_embeddings = share;
            config.activation = static_cast<Activation>(activation);
            config.scale_embeddings = activation % 2 == 0;
            config.output_bias = activation % 3 == 0;
            config.begin_vector = activation % 4 == 0;
            if (share != config::ShareEmbeddings::kAll) config.source_vocabulary = 23;
            expect_equals_reference(config, {}, 4);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST(Transformer, EqualsPlainLoopsBeyondOneBlockOfPositions) {
  ModelConfig config = small_config();
  config.width = 80;
  config.positions = Positions::kRotary;
  config.encoder_layers = 3;
  expect_equals_reference(config, {}, 37);
}

TEST(Transformer, EveryDispatchEqualsComputingAllExpertsAndPickingOne) {
  for (const DispatchMode mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kPosition,
                                  DispatchMode::kBatch, DispatchMode::kEnsemble}) {
    SCOPED_TRACE(config::enum_names(mode)[static_cast<size_t>(mode)]);
    expect_equals_reference(expert_config(), dispatch_by(mode, 9), 20);
  }
  expect_equals_reference(expert_config(), dispatch_by(DispatchMode::kPath, 1, {2}), 5);
  expect_equals_reference(expert_config(), dispatch_by(DispatchMode::kPath, 1, {0, 2, 1, 0}), 5);
}

TEST(Transformer, WithEqualExpertsEveryDispatchGivesTheSame) {
  const ModelConfig config = expert_config();
  auto tensors = std::make_shared<std::map<std::string, std::vector<float>>>();
  const TensorSource random = random_weights(config, 4);
  for (const auto& tensor : store::tensor_shapes(config)) {
    const auto values = random(tensor.name);
    std::vector<float>& copy = (*tensors)[tensor.name];
    copy.assign(values.begin(), values.end());
    if (tensor.name.find("feed_forward.fc") == std::string::npos || tensor.shape[0] != 3) continue;
    const auto third = static_cast<std::ptrdiff_t>(copy.size() / 3);
    std::copy_n(copy.begin(), third, copy.begin() + third);
    std::copy_n(copy.begin(), third, copy.begin() + 2 * third);
  }
  const auto weights = std::make_shared<Weights>(
      config, [tensors](const std::string& name) { return std::span<const float>(tensors->at(name)); });
  const auto sources = some_sources(3);
  const auto targets = some_targets(3, 6);
  const auto wanted = feed(Transformer(weights, {}), sources, targets);
  for (const DispatchMode mode : {DispatchMode::kToken, DispatchMode::kPosition, DispatchMode::kBatch}) {
    EXPECT_EQ(feed(Transformer(weights, dispatch_by(mode, 5)), sources, targets), wanted);
  }
  const auto mean = feed(Transformer(weights, dispatch_by(DispatchMode::kEnsemble)), sources, targets);
  for (size_t t = 0; t < mean.size(); ++t) {
    for (size_t i = 0; i < mean[t].size(); ++i) ASSERT_NEAR(mean[t][i], wanted[t][i], 1e-5);
  }
}

TEST(Transformer, ARowsBitsDoNotDependOnTheBatch) {
  for (const DispatchMode mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kEnsemble}) {
    const Transformer model(make_weights(expert_config()), dispatch_by(mode, 3));
    const auto sources = some_sources(40);
    const auto targets = some_targets(40, 18);
    const auto together = feed(model, sources, targets);
    for (size_t s = 0; s < sources.size(); ++s) {
      const auto alone = feed(model, std::span(sources).subspan(s, 1), {targets[s]});
      for (size_t t = 0; t < alone.size(); ++t) {
        ASSERT_EQ(std::memcmp(alone[t].data(), together[t].data() + s * 19, 19 * sizeof(float)), 0)
            << s << " " << t;
      }
    }
  }
}

void expect_reorders(const Transformer& model) {
  const auto sources = some_sources(3);
  std::mt19937 generator(8);
  const auto state = model.begin(sources, 2);
  std::vector<Tokens> pasts(6);
  std::vector<size_t> source_of = {0, 0, 1, 1, 2, 2};
  for (int step = 0; step < 35; ++step) {
    Tokens tokens;
    for (Tokens& past : pasts) {
      tokens.push_back(static_cast<int32_t>(generator() % 19));
      past.push_back(tokens.back());
    }
    std::vector<float> rows(pasts.size() * 19);
    model.step(*state, tokens, rows);
    if (step % 5 == 4) {
      for (size_t r = 0; r < pasts.size(); ++r) {
        const auto fresh = feed(model, std::span(sources).subspan(source_of[r], 1), {pasts[r]});
        ASSERT_EQ(std::memcmp(fresh.back().data(), rows.data() + r * 19, 19 * sizeof(float)), 0) << step;
      }
    }
    std::vector<int64_t> from;
    std::vector<Tokens> next;
    std::vector<size_t> next_source;
    const size_t count = step < 20 ? 1 + generator() % 8 : 2;
    for (size_t i = 0; i < count; ++i) {
      const size_t r = generator() % pasts.size();
      from.push_back(static_cast<int64_t>(r));
      next.push_back(pasts[r]);
      next_source.push_back(source_of[r]);
    }
    model.reorder(*state, from);
    pasts = next;
    source_of = next_source;
  }
}

TEST(Transformer, ReorderedRowsGoOnAsIfTheyHadAlwaysBeenThere) {
  expect_reorders(Transformer(make_weights(expert_config()), {}));
  // A router that looks at the symbols before a token takes them along.
  ModelConfig config = expert_config();
  config.experts = {.count = 5,
                    .every = 1,
                    .router = config::RouterKind::kDistilled,
                    .gate = config::Gate::kSigmoid,
                    .distilled_input = config::DistilledInput::kCnn,
                    .distilled_width = 4};
  expect_reorders(Transformer(make_weights(config), dispatch_by(DispatchMode::kRouter)));
}

TEST(Transformer, ThreadsShareAModel) {
  const Transformer model(make_weights(expert_config()), {});
  const auto sources = some_sources(6);
  const auto targets = some_targets(6, 10);
  std::vector<std::vector<std::vector<float>>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = feed(model, sources, targets); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST(Transformer, SaysWhatIsWrongWithItsInput) {
  const Transformer model(make_weights(small_config()), {});
  EXPECT_THROW(model.begin(std::vector<Source>{{{}, 0}}, 1), Error);
  EXPECT_THROW(model.begin(std::vector<Source>{{Tokens(41, 5), 0}}, 1), Error);
  EXPECT_THROW(model.begin(std::vector<Source>{{{19}, 0}}, 1), Error);
  EXPECT_THROW(Transformer(make_weights(expert_config()), dispatch_by(DispatchMode::kPath, 1, {3})),
               UsageError);
}

TEST(Transformer, NamesATensorOfTheWrongSize) {
  const ModelConfig config = small_config();
  const TensorSource right = random_weights(config, 1);
  const TensorSource wrong = [&](const std::string& name) {
    return name == "encoder.layers.1.feed_forward.fc2.bias" ? right(name).subspan(1) : right(name);
  };
  try {
    Weights(config, wrong);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("encoder.layers.1.feed_forward.fc2.bias"), std::string::npos);
  }
}

}  // namespace
}  // namespace megin::runtime
