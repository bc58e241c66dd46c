#include "store/model_size.h"

#include <functional>
#include <numeric>
#include <string_view>

#include "config/dispatch.h"
#include "store/tensor_names.h"

namespace megin::store {
namespace {

bool contains(std::string_view name, std::string_view part) {
  return name.find(part) != name.npos;
}

int64_t elements(const TensorShape& tensor) {
  return std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
}

// Those that a token meets which uses `active` experts: in each expert layer, or by layer.
int64_t active_elements(const TensorShape& tensor, std::span<const int64_t> active) {
  const int64_t all = elements(tensor);
  if (tensor.experts == 0) return all;
  return all / tensor.experts *
         config::number_of_layer(active, static_cast<uint64_t>(tensor.expert_layer), tensor.experts);
}

bool is_norm(const TensorShape& tensor) {
  return contains(tensor.name, "norm.");
}

bool is_embedding(const TensorShape& tensor) {
  return (contains(tensor.name, "embedding") && !is_norm(tensor)) || tensor.name.starts_with("output.") ||
         tensor.name == "decoder.begin";
}

// The field of the counts that a tensor belongs to.
int64_t& field_of(ParameterCounts& counts, const TensorShape& tensor) {
  if (tensor.experts > 0) return counts.experts;
  if (is_embedding(tensor)) return counts.embeddings;
  if (contains(tensor.name, "positions")) return counts.positions;
  if (is_norm(tensor)) return counts.norms;
  if (contains(tensor.name, "router.") || tensor.name.ends_with(".scale") ||
      tensor.name.starts_with("mixture."))
    return counts.routers;
  if (tensor.name.starts_with("classifier.")) return counts.classifier;
  if (contains(tensor.name, "attention") || contains(tensor.name, ".relative.")) return counts.attention;
  return counts.feed_forward;
}

}  // namespace

namespace {

ParameterCounts count(const config::ModelConfig& config, std::span<const int64_t> active) {
  ParameterCounts counts;
  for (const TensorShape& tensor : tensor_shapes(config)) {
    field_of(counts, tensor) += active_elements(tensor, active);
  }
  return counts;
}

config::ModelConfig of_one_component(config::ModelConfig config) {
  config.mixture = {};
  return config;
}

}  // namespace

ParameterCounts count_parameters(const config::ModelConfig& config) {
  return count(config, {});
}

ParameterCounts count_active_parameters(const config::ModelConfig& config, std::span<const int64_t> active) {
  return count(of_one_component(config), active);
}

ParameterCounts count_active_parameters(const config::ModelConfig& config, int64_t active) {
  return count_active_parameters(config, {&active, 1});
}

TokenFlops count_token_flops(const config::ModelConfig& config, int64_t active, int64_t length) {
  return count_token_flops(config, {&active, 1}, length);
}

TokenFlops count_token_flops(const config::ModelConfig& config, std::span<const int64_t> active,
                             int64_t length) {
  TokenFlops flops;
  for (const TensorShape& tensor : tensor_shapes(of_one_component(config))) {
    if (!tensor.name.ends_with(".weight") || is_embedding(tensor) || is_norm(tensor)) continue;
    // Once a sentence and not a token, and what a classifier has no use for.
    if (tensor.name.starts_with("classifier.")) continue;
    if (config::is_classifier(config) && tensor.name.starts_with("output_transform.")) continue;
    // Vectors of distances are projected once for all tokens.
    if (contains(tensor.name, "positions") || contains(tensor.name, "attention.distance")) continue;
    const int64_t used = active_elements(tensor, active);
    const bool of_memory = contains(tensor.name, "cross_attention.key_value");
    const bool of_source = tensor.name.starts_with("encoder.") || of_memory;
    const double cost = 2.0 * static_cast<double>(used);
    (of_source ? flops.source : flops.target) += cost;
    if (of_memory) flops.memory += cost;
  }
  const double width = static_cast<double>(config.width);
  if (!config::is_classifier(config)) {
    flops.target += 2.0 * width * static_cast<double>(config.target_vocabulary);
  }
  // A product with a key and one with a value for every token looked at; one with its distance.
  const bool relative = config.positions == config::Positions::kRelative;
  const double look = (relative ? 6.0 : 4.0) * static_cast<double>(config::attention_width(config));
  const double tokens = static_cast<double>(length);
  flops.source_attention = look * tokens * static_cast<double>(config.encoder_layers);
  const double of_source = config::has_encoder(config) ? tokens : 0.0;
  const double seen = of_source + static_cast<double>(config.memory) + (tokens + 1) / 2;
  flops.target_attention = look * seen * static_cast<double>(config.decoder_layers);
  return flops;
}

double count_training_flops(const TokenFlops& token, const config::ComputedPasses& passes,
                            int64_t source_tokens, int64_t target_tokens) {
  const auto sources = static_cast<double>(source_tokens), targets = static_cast<double>(target_tokens);
  return 3.0 * (passes.source * (token.source - token.memory) * sources +
                passes.target * (token.memory * sources + token.target * targets));
}

}  // namespace megin::store
