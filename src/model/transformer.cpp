#include "model/transformer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "model/layer.h"
#include "model/token_embedding.h"
#include "routing/scores.h"
#include "text/vocabulary.h"

namespace megin::model {
namespace {

constexpr float kMasked = -std::numeric_limits<float>::infinity();

// Token ids of a batch, repeated for each pass: [passes * B, length], int64.
at::Tensor ids(const std::vector<int32_t>& tokens, int64_t sentences, int64_t passes) {
  const at::Tensor one = at::from_blob(const_cast<int32_t*>(tokens.data()),
                                       {sentences, static_cast<int64_t>(tokens.size()) / sentences}, at::kInt)
                             .to(at::kLong);
  return passes == 1 ? one : one.repeat({passes, 1});
}

// [passes * B, 1, 1, S]: 0 where the source has a token, -inf where it is padding.
at::Tensor padding_mask(const at::Tensor& source) {
  at::Tensor mask = at::zeros(source.sizes(), at::kFloat);
  mask.masked_fill_(source.eq(text::kPadId), kMasked);
  return mask.unsqueeze(1).unsqueeze(1);
}

// One side of a batch.
struct Side {
  const std::vector<int32_t>& tokens;
  int64_t length;

  // Tokens of each sentence, without padding, repeated for each pass.
  std::vector<int64_t> lengths(int64_t passes) const {
    std::vector<int64_t> found;
    for (int64_t pass = 0; pass < passes; ++pass) {
      for (auto row = tokens.begin(); row < tokens.end(); row += length) {
        found.push_back(std::find(row, row + length, text::kPadId) - row);
      }
    }
    return found;
  }
};

std::span<const int64_t> symbols(const at::Tensor& ids) {
  return {ids.data_ptr<int64_t>(), static_cast<size_t>(ids.numel())};
}

// The sentences' lengths for fused attention, of the sides that ask and that answer.
std::shared_ptr<const net::FusedAttentionShape> fused_shape(const Side& queries, const Side& keys,
                                                            bool causal, int64_t heads,
                                                            const net::ForwardContext& context) {
  if (!context.operations.fused(config::FusedPart::kAttention)) return nullptr;
  auto shape = std::make_shared<net::FusedAttentionShape>();
  shape->heads = heads;
  shape->queries = queries.length;
  shape->keys = keys.length;
  shape->causal = causal;
  shape->query_lengths = queries.lengths(context.passes);
  shape->key_lengths = keys.lengths(context.passes);
  shape->sentences = static_cast<int64_t>(shape->query_lengths.size());
  return shape;
}

// [T, T]: position t sees 0 to t.
at::Tensor causal_mask(int64_t length) {
  return at::full({length, length}, kMasked, at::kFloat).triu(1);
}

}  // namespace

struct Transformer::Stack {
  Stack(const Transformer& model, config::Stack which, const std::string& embedding)
      : embedding(model.parameters_, embedding, which, model.config_) {
    for (int64_t i = 0; i < config::layers_of(model.config_, which); ++i)
      layers.emplace_back(model.parameters_, model.config_, model.routing_, which, i);
    if (model.config_.norm_position == config::NormPosition::kPre) {
      final_norm.emplace(model.parameters_, store::stack_name(which) + ".norm.", model.config_);
    }
  }

  TokenEmbedding embedding;
  std::vector<Layer> layers;
  std::optional<net::Norm> final_norm;
};

Transformer::Transformer(const config::ModelConfig& config, const config::RoutingConfig& routing)
    : config_(config), routing_(routing), parameters_(config), router_(config.experts.count) {
  const bool joint = config.share_embeddings == config::ShareEmbeddings::kAll;
  const std::string source = joint ? "embedding.weight" : "source_embedding.weight";
  const std::string target = joint ? "embedding.weight" : "target_embedding.weight";
  if (!config::is_causal_lm(config)) {
    encoder_ = std::make_unique<Stack>(*this, config::Stack::kEncoder, source);
  }
  decoder_ = std::make_unique<Stack>(*this, config::Stack::kDecoder, target);
  const bool own_output = config.share_embeddings == config::ShareEmbeddings::kNone;
  output_weight_ = parameters_.get(own_output ? "output.weight" : target);
}

Transformer::~Transformer() = default;

const at::Tensor& Transformer::output_weight() const {
  return output_weight_;
}

at::Tensor Transformer::run_stack(const Stack& stack, at::Tensor x, const LayerInputs& inputs) const {
  for (const Layer& layer : stack.layers) x = layer.forward(x, inputs);
  return stack.final_norm ? stack.final_norm->forward(x, inputs.context.operations) : x;
}

// Runs the encoder and gives the decoder what it looks at.
void Transformer::read_source(const data::TokenBatch& batch, const at::Tensor& noise,
                              LayerInputs& decoder_inputs) const {
  const net::ForwardContext& context = decoder_inputs.context;
  const at::Tensor source = ids(batch.source, batch.sentences, context.passes);
  const Side source_side{batch.source, batch.source_length},
      target_side{batch.target_input, batch.target_length};
  const auto lengths = source_side.lengths(context.passes);
  const LayerInputs inputs{.context = context,
                           .shape = {context.passes * batch.sentences, batch.source_length},
                           .self_mask = padding_mask(source),
                           .self_fused = fused_shape(source_side, source_side, false, config_.heads, context),
                           .sentences = decoder_inputs.sentences,
                           .lengths = lengths,
                           .tokens = symbols(source),
                           .record = decoder_inputs.record};
  decoder_inputs.memory = run_stack(*encoder_, encoder_->embedding.forward(source, context, noise), inputs);
  decoder_inputs.memory_length = batch.source_length;
  decoder_inputs.memory_mask = inputs.self_mask;
  decoder_inputs.memory_fused = fused_shape(target_side, source_side, false, config_.heads, context);
  if (config_.experts.router == config::RouterKind::kSentence) {
    decoder_inputs.memory_mean = routing::sentence_means(decoder_inputs.memory, batch.source_length, lengths);
  }
}

at::Tensor Transformer::forward(const data::TokenBatch& batch, const net::ForwardContext& context,
                                RouteRecord* record, const EmbeddingNoise& noise) const {
  const std::vector<uint64_t> sentences(batch.sentence.begin(), batch.sentence.end());
  const at::Tensor target = ids(batch.target_input, batch.sentences, context.passes);
  const Side target_side{batch.target_input, batch.target_length};
  const auto lengths = target_side.lengths(context.passes);
  LayerInputs inputs{.context = context,
                     .shape = {context.passes * batch.sentences, batch.target_length},
                     .self_mask = causal_mask(batch.target_length),
                     .self_fused = fused_shape(target_side, target_side, true, config_.heads, context),
                     .sentences = sentences,
                     .lengths = lengths,
                     .tokens = symbols(target),
                     .record = record};
  if (encoder_) read_source(batch, noise.source, inputs);
  return run_stack(*decoder_, decoder_->embedding.forward(target, context, noise.target), inputs);
}

std::vector<int64_t> Transformer::drawn_experts(const net::ForwardContext& context, int64_t pass) const {
  std::vector<int64_t> drawn;
  const at::Tensor none;
  for (const config::Stack which : {config::Stack::kEncoder, config::Stack::kDecoder}) {
    for (int64_t layer = 0; layer < config::layers_of(config_, which); ++layer) {
      if (!config::is_expert_layer(config_, which, layer)) continue;
      drawn.push_back(router_.draw(
          {.hidden = none, .sentences = {}, .length = 0, .stack = which, .layer = layer, .context = context},
          pass));
    }
  }
  return drawn;
}

}  // namespace megin::model
