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
    tensors_.push_back({std::move(name), std::move(shape)});
  }

  void add_embeddings() {
    const int64_t d = config_.width;
    switch (config_.share_embeddings) {
      case config::ShareEmbeddings::kAll:
        add("embedding.weight", {config_.target_vocabulary, d});
        return;
      case config::ShareEmbeddings::kDecoder:
        add("source_embedding.weight", {config_.source_vocabulary, d});
        add("target_embedding.weight", {config_.target_vocabulary, d});
        return;
      case config::ShareEmbeddings::kNone:
        add("source_embedding.weight", {config_.source_vocabulary, d});
        add("target_embedding.weight", {config_.target_vocabulary, d});
        add("output.weight", {config_.target_vocabulary, d});
        return;
    }
  }

  void add_stack(config::Stack stack, int64_t layers) {
    const std::string name = stack_name(stack);
    if (config_.positions == config::Positions::kLearned) {
      add(name + ".positions.weight", {config_.max_length, config_.width});
    }
    for (int64_t layer = 0; layer < layers; ++layer) {
      const std::string prefix = layer_prefix(stack, layer);
      add_self_attention(prefix + "self_attention.");
      if (stack == config::Stack::kDecoder) add_cross_attention(prefix + "cross_attention.");
      const bool experts = config::is_expert_layer(config_.experts, layer);
      add_feed_forward(prefix + "feed_forward.", experts);
      if (experts) add_router(prefix + "feed_forward.router.", stack);
    }
    if (config_.norm_position == config::NormPosition::kPre) add_norm(name + ".");
  }

  std::vector<TensorShape> take() { return std::move(tensors_); }

 private:
  void add_linear(const std::string& prefix, int64_t out, int64_t in) {
    add(prefix + ".weight", {out, in});
    add(prefix + ".bias", {out});
  }

  void add_norm(const std::string& prefix) {
    add(prefix + "norm.weight", {config_.width});
    if (config_.norm == config::NormKind::kLayerNorm) add(prefix + "norm.bias", {config_.width});
  }

  void add_self_attention(const std::string& prefix) {
    const int64_t d = config_.width;
    add_linear(prefix + "query_key_value", 3 * d, d);
    add_linear(prefix + "output", d, d);
    add_norm(prefix);
  }

  void add_cross_attention(const std::string& prefix) {
    const int64_t d = config_.width;
    add_linear(prefix + "query", d, d);
    add_linear(prefix + "key_value", 2 * d, d);
    add_linear(prefix + "output", d, d);
    add_norm(prefix);
  }

  void add_feed_forward(const std::string& prefix, bool experts) {
    const auto add_stacked = [&](const std::string& name, int64_t out, int64_t in) {
      if (!experts) return add_linear(name, out, in);
      add(name + ".weight", {config_.experts.count, out, in});
      add(name + ".bias", {config_.experts.count, out});
    };
    add_stacked(prefix + "fc1", config_.feed_forward, config_.width);
    if (config::is_gated(config_.activation)) {
      add_stacked(prefix + "gate", config_.feed_forward, config_.width);
    }
    add_stacked(prefix + "fc2", config_.width, config_.feed_forward);
    add_norm(prefix);
  }

  void add_router(const std::string& prefix, config::Stack stack) {
    const config::ExpertConfig& experts = config_.experts;
    if (config::is_learned(experts.router)) add(prefix + "weight", {experts.count, config_.width});
    if (experts.noisy) add(prefix + "noise", {experts.count, config_.width});
    if (experts.biased) add(prefix + "bias", {experts.count});
    const int64_t symbols =
        stack == config::Stack::kEncoder ? config_.source_vocabulary : config_.target_vocabulary;
    if (experts.router == config::RouterKind::kHash) add(prefix + "table", {symbols});
    if (experts.router == config::RouterKind::kDistilled) {
      add(prefix + "symbols", {symbols, experts.distilled_width});
      add(prefix + "centres", {experts.count, experts.distilled_width});
    }
  }

  const config::ModelConfig& config_;
  std::vector<TensorShape> tensors_;
};

}  // namespace

bool is_trained(const std::string& name) {
  return !name.ends_with(".router.bias") && !name.ends_with(".router.table");
}

std::string stack_name(config::Stack stack) {
  return stack == config::Stack::kEncoder ? "encoder" : "decoder";
}

std::string layer_prefix(config::Stack stack, int64_t layer) {
  return fmt::format("{}.layers.{}.", stack_name(stack), layer);
}

std::vector<TensorShape> tensor_shapes(const config::ModelConfig& config) {
  Table table(config);
  table.add_embeddings();
  table.add_stack(config::Stack::kEncoder, config.encoder_layers);
  table.add_stack(config::Stack::kDecoder, config.decoder_layers);
  return table.take();
}

}  // namespace megin::store
