// For tests that serve what training made: models with weights drawn.
#pragma once

#include <vector>

#include "config/model_config.h"
#include "net/parameters.h"

namespace megin::train {

inline config::ModelConfig small_model() {
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

inline config::ModelConfig language_model() {
  config::ModelConfig config = small_model();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  config.norm_position = config::NormPosition::kPre;
  config.positions = config::Positions::kLearned;
  config.experts = {};
  return config;
}

// Every router that models bring with them, beside norms and activations of both kinds.
inline std::vector<config::ModelConfig> routed_variants() {
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
inline void fill_routers(net::ParameterMemory& parameters) {
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

}  // namespace megin::train
