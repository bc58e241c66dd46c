#include "store/layer_tensors.h"

#include "base/error.h"

namespace megin::store {

using config::ModelConfig;
using config::Stack;

bool is_of_expert_layer(const ModelConfig& model, const std::string& name) {
  for (const Stack stack : {Stack::kEncoder, Stack::kDecoder}) {
    for (int64_t layer = 0; layer < config::layers_of(model, stack); ++layer) {
      if (!config::is_expert_layer(model, stack, layer)) continue;
      const std::string prefix = expert_prefix(model, stack, layer);
      if (name.starts_with(prefix) && !name.starts_with(prefix + "norm.")) return true;
    }
  }
  return false;
}

int64_t number_of_expert_layer(const ModelConfig& model, const std::string& name) {
  for (const Stack stack : {Stack::kEncoder, Stack::kDecoder}) {
    for (int64_t layer = 0; layer < config::layers_of(model, stack); ++layer) {
      if (!config::is_expert_layer(model, stack, layer)) continue;
      if (name.starts_with(layer_prefix(stack, layer)))
        return config::expert_layer_number(model, stack, layer);
    }
  }
  fail("{}: is not of an expert layer", name);
}

int64_t number_of_layer(const ModelConfig& model, const std::string& name) {
  for (const Stack stack : {Stack::kEncoder, Stack::kDecoder}) {
    for (int64_t layer = 0; layer < config::layers_of(model, stack); ++layer) {
      if (!name.starts_with(layer_prefix(stack, layer))) continue;
      return layer + (stack == Stack::kDecoder ? model.encoder_layers : 0);
    }
  }
  fail("{}: is not of a layer", name);
}

ModelConfig dense_form(const ModelConfig& model, int64_t width) {
  ModelConfig dense = model;
  const config::ExpertConfig kept = model.experts;
  dense.experts = {};
  if (kept.body == config::ExpertBody::kInsert) {  // a dense layer stays in its place
    dense.experts.body = kept.body;
    dense.experts.layers = kept.layers;
    dense.experts.sublayers = kept.sublayers;
    dense.experts.feed_forward = kept.feed_forward;
    return dense;
  }
  const bool everywhere = config::count_expert_layers(model) == config::layers_of(model, Stack::kEncoder) +
                                                                    config::layers_of(model, Stack::kDecoder);
  if (!everywhere && width != model.feed_forward) {
    fail_usage(
        "layers without experts have feed-forwards of width {}, those with experts would have {}; a dense "
        "model "
        "has one width",
        model.feed_forward, width);
  }
  dense.feed_forward = width;
  return dense;
}

}  // namespace megin::store
