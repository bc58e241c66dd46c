// For tests: small models with random weights, something to feed them, and the comparison with plain loops.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <span>
#include <vector>

#include "runtime/random_weights.h"
#include "runtime/reference_model.h"
#include "runtime/transformer.h"

namespace megin::runtime {

using config::Activation;
using config::Dispatch;
using config::DispatchMode;
using config::ModelConfig;
using config::Positions;
using search::Source;
using Tokens = std::vector<int32_t>;

inline ModelConfig small_config() {
  ModelConfig config;
  config.width = 12;
  config.feed_forward = 20;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 2;
  config.max_length = 40;
  config.source_vocabulary = config.target_vocabulary = 19;
  return config;
}

// As T5 1.1 is.
inline ModelConfig t5_config() {
  ModelConfig config = small_config();
  config.head_width = 5;
  config.activation = Activation::kGegluTanh;
  config.norm = config::NormKind::kRmsNorm;
  config.norm_position = config::NormPosition::kPre;
  config.positions = Positions::kBucketed;
  config.position_buckets = 8;
  config.position_distance = 12;
  config.share_embeddings = config::ShareEmbeddings::kInputs;
  config.scale_embeddings = config.scale_attention = config.biases = false;
  config.begin_vector = true;
  return config;
}

inline ModelConfig expert_config() {
  ModelConfig config = small_config();
  config.encoder_layers = config.decoder_layers = 3;
  config.experts = {.count = 3, .every = 2, .offset = 0};
  return config;
}

inline Dispatch dispatch_by(DispatchMode mode, uint64_t seed = 1, std::vector<int64_t> path = {}) {
  return {mode, seed, std::move(path)};
}

inline std::shared_ptr<const Weights> make_weights(const ModelConfig& config, uint64_t seed = 1) {
  return std::make_shared<Weights>(config, random_weights(config, seed));
}

inline std::vector<Source> some_sources(size_t count) {
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
inline std::vector<std::vector<float>> feed(const Transformer& model, std::span<const Source> sources,
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

inline std::vector<Tokens> some_targets(size_t count, size_t length) {
  std::mt19937 generator(12);
  std::vector<Tokens> targets(count, Tokens{2});
  for (Tokens& target : targets) {
    while (target.size() < length) target.push_back(static_cast<int32_t>(generator() % 19));
  }
  return targets;
}

inline void expect_equals_reference(const ModelConfig& config, const Dispatch& dispatch, size_t length,
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

}  // namespace megin::runtime
