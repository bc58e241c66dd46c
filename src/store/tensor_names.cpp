#include "store/tensor_names.h"

#include <fmt/format.h>

#include <utility>

namespace megin::store {
namespace {

// Collects the tensors of a model in order.
class Table {
 public:
  explicit Table(const config::ModelConfig& config) : config_(config) {}

  void add(std::string name, std::vector<int64_t> shape) {
    tensors_.push_back({.name = std::move(name), .shape = std::move(shape)});
  }

  void add_embeddings() {
    const int64_t d = config_.width;
    if (config::shares_inputs(config_)) {
      add("embedding.weight", {config_.target_vocabulary, d});
    } else {
      if (config::has_encoder(config_)) add("source_embedding.weight", {config_.source_vocabulary, d});
      if (config::has_decoder(config_)) add("target_embedding.weight", {config_.target_vocabulary, d});
    }
    if (config::has_own_output(config_)) add("output.weight", {config_.target_vocabulary, d});
  }

  void add_embedding_norm() {
    if (config_.norm_embeddings) add_norm("embedding_norm", 0);
  }

  void add_stack(config::Stack stack) {
    const std::string name = stack_name(stack);
    if (config_.positions == config::Positions::kLearned) {
      add(name + ".positions.weight", {config_.max_length, config_.width});
    }
    if (config_.positions == config::Positions::kBucketed) {
      add(name + ".positions.weight", {config_.position_buckets, config_.heads});
    }
    if (config_.positions == config::Positions::kRelative) {
      for (const char* bias : {".relative.content_bias", ".relative.distance_bias"}) {
        add(name + bias, {config::attention_width(config_)});
      }
    }
    for (int64_t layer = 0; layer < config::stored_layers_of(config_, stack); ++layer)
      add_layer(stack, layer);
    if (config_.norm_position != config::NormPosition::kPre) return;
    const int64_t norms = stack == config::Stack::kDecoder ? config::decoders_of(config_) : 1;
    for (int64_t of = 0; of < norms; ++of) add_norm(final_norm_name(stack, of), 0);
  }

  // What stands before and behind the stacks beside the embeddings.
  void add_ends() {
    if (config_.output_transform) {
      add_linear("output_transform", config_.width, config_.width);
      add_norm("output_transform_norm", 0);
    }
    if (config_.begin_vector) add("decoder.begin", {1, config_.width});
    if (config_.output_bias) add("output.bias", {config_.target_vocabulary});
  }

  void add_mixture() {
    if (!config::is_mixture(config_)) return;
    const int64_t d = config_.width, components = config_.mixture.components;
    if (config_.mixture.kind == config::MixtureKind::kBegin) add("mixture.begin", {components, d});
    if (!config::has_learned_prior(config_)) return;
    add_linear("mixture.prior.hidden", d, d);
    add_linear("mixture.prior.output", components, d);
  }

  void add_classifier() {
    if (!config::is_classifier(config_)) return;
    add_linear("classifier.hidden", config_.width, config_.width);
    add_linear("classifier.output", config_.classes, config_.width);
  }

  std::vector<TensorShape> take() { return std::move(tensors_); }

 private:
  void add_layer(config::Stack stack, int64_t layer) {
    const std::string prefix = layer_prefix(stack, layer);
    add_self_attention(prefix + "self_attention.");
    if (stack == config::Stack::kDecoder && config::has_encoder(config_)) {
      add_cross_attention(prefix + "cross_attention.");
    }
    const bool experts = config::is_expert_layer(config_, stack, layer);
    const bool inserted = config::has_inserted_layer(config_, stack, layer);
    const int64_t count = experts ? config_.experts.count : 0;
    const int64_t width = config::expert_feed_forward(config_);
    const bool replaced = experts && !inserted;
    add_feed_forward(prefix + "feed_forward.", replaced ? width : config_.feed_forward, replaced ? count : 0);
    add_norm(prefix + "feed_forward.norm", 0);
    if (replaced && config_.experts.shared) add_feed_forward(prefix + "feed_forward.shared.", width, 0);
    if (inserted) add_sublayers(prefix + "inserted.", width, count);
    if (inserted && config_.experts.shared) add_sublayers(prefix + "inserted.shared.", width, 0);
    if (!experts && config_.concrete_dropout > 0) add(prefix + "feed_forward.dropout.logit", {1});
    if (!experts) return;
    add_router(expert_prefix(config_, stack, layer) + "router.", stack);
    if (config_.experts.scales) add_untrained(scale_name(config_, stack, layer), {count});
    ++expert_layers_;
  }

  void add_sublayers(const std::string& prefix, int64_t inner, int64_t experts) {
    for (int64_t j = 0; j < config_.experts.sublayers; ++j) {
      const std::string sublayer = fmt::format("{}{}.", prefix, j);
      add_norm(sublayer + "norm", experts);
      add_feed_forward(sublayer, inner, experts);
    }
  }

  // With a leading dimension of `experts`, unless that is 0.
  void add_stacked(std::string name, std::vector<int64_t> shape, int64_t experts) {
    if (experts > 0) shape.insert(shape.begin(), experts);
    tensors_.push_back({.name = std::move(name),
                        .shape = std::move(shape),
                        .experts = experts,
                        .expert_layer = experts > 0 ? expert_layers_ : 0});
  }

  void add_untrained(std::string name, std::vector<int64_t> shape) {
    tensors_.push_back({.name = std::move(name), .shape = std::move(shape), .trained = false});
  }

  void add_linear(const std::string& prefix, int64_t out, int64_t in) {
    add(prefix + ".weight", {out, in});
    add(prefix + ".bias", {out});
  }

  // A linear layer of attention or a feed-forward.
  void add_projection(const std::string& prefix, int64_t out, int64_t in, int64_t experts = 0) {
    add_stacked(prefix + ".weight", {out, in}, experts);
    if (config_.biases) add_stacked(prefix + ".bias", {out}, experts);
  }

  void add_norm(const std::string& prefix, int64_t experts) {
    add_stacked(prefix + ".weight", {config_.width}, experts);
    if (config_.norm == config::NormKind::kLayerNorm) add_stacked(prefix + ".bias", {config_.width}, experts);
  }

  void add_self_attention(const std::string& prefix) {
    const int64_t d = config_.width, heads = config::attention_width(config_);
    if (config_.positions == config::Positions::kRelative) {
      add(prefix + "query_key_value.weight", {3 * heads, d});
      add(prefix + "distance.weight", {heads, d});
      add(prefix + "output.weight", {d, heads});
    } else {
      add_projection(prefix + "query_key_value", 3 * heads, d);
      add_projection(prefix + "output", d, heads);
    }
    add_norm(prefix + "norm", 0);
  }

  void add_cross_attention(const std::string& prefix) {
    const int64_t d = config_.width, heads = config::attention_width(config_);
    add_projection(prefix + "query", heads, d);
    add_projection(prefix + "key_value", 2 * heads, d);
    add_projection(prefix + "output", d, heads);
    add_norm(prefix + "norm", 0);
  }

  void add_feed_forward(const std::string& prefix, int64_t inner, int64_t experts) {
    add_projection(prefix + "fc1", inner, config_.width, experts);
    if (config::is_gated(config_.activation)) add_projection(prefix + "gate", inner, config_.width, experts);
    add_projection(prefix + "fc2", config_.width, inner, experts);
  }

  void add_router(const std::string& prefix, config::Stack stack) {
    const config::ExpertConfig& experts = config_.experts;
    if (config::is_learned(experts.router)) add(prefix + "weight", {experts.count, config_.width});
    if (experts.router == config::RouterKind::kFixed)
      add_untrained(prefix + "weight", {experts.count, config_.width});
    if (experts.noisy) add(prefix + "noise", {experts.count, config_.width});
    if (experts.biased) add_untrained(prefix + "bias", {experts.count});
    const int64_t symbols =
        stack == config::Stack::kEncoder ? config_.source_vocabulary : config_.target_vocabulary;
    if (experts.router == config::RouterKind::kHash) {
      const bool by_position = experts.hash == config::HashTable::kPosition;
      add_untrained(prefix + "table",
                    by_position ? std::vector{config_.max_length, experts.active} : std::vector{symbols});
    }
    if (experts.router == config::RouterKind::kDistilled) {
      add(prefix + "symbols", {symbols, experts.distilled_width});
      add(prefix + "centres", {experts.count, experts.distilled_width});
      if (experts.distilled_input == config::DistilledInput::kCnn) {
        add(prefix + "kernel", {config::distilled_reach(experts.distilled_input)});
      }
    }
  }

  const config::ModelConfig& config_;
  std::vector<TensorShape> tensors_;
  int64_t expert_layers_ = 0;  // so far
};

}  // namespace

std::string stack_name(config::Stack stack) {
  return stack == config::Stack::kEncoder ? "encoder" : "decoder";
}

std::string final_norm_name(config::Stack stack, int64_t decoder) {
  const std::string name = stack_name(stack);
  return decoder == 0 ? name + ".norm" : fmt::format("{}.{}.norm", name, decoder);
}

std::string layer_prefix(config::Stack stack, int64_t layer) {
  return fmt::format("{}.layers.{}.", stack_name(stack), layer);
}

std::string expert_prefix(const config::ModelConfig& config, config::Stack stack, int64_t layer) {
  const bool inserted = config.experts.body == config::ExpertBody::kInsert;
  return layer_prefix(stack, layer) + (inserted ? "inserted." : "feed_forward.");
}

std::string scale_name(const config::ModelConfig& config, config::Stack stack, int64_t layer) {
  return expert_prefix(config, stack, layer) + "scale";
}

std::vector<TensorShape> tensor_shapes(const config::ModelConfig& config) {
  Table table(config);
  table.add_embeddings();
  table.add_embedding_norm();
  if (config::has_encoder(config)) table.add_stack(config::Stack::kEncoder);
  if (config::has_decoder(config)) table.add_stack(config::Stack::kDecoder);
  table.add_ends();
  table.add_mixture();
  table.add_classifier();
  return table.take();
}

}  // namespace megin::store
