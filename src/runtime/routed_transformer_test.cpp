// Models whose tokens choose experts, and mixtures, against plain loops.
#include <gtest/gtest.h>

#include <cstring>
#include <optional>

#include "base/error.h"
#include "runtime/decoder.h"
#include "runtime/transformer_fixture.h"

namespace megin::runtime {
namespace {

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

}  // namespace
}  // namespace megin::runtime
