#include "model/encoder_decoder.h"

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

struct EncoderDecoder::Stack {
  Stack(const EncoderDecoder& model, config::Stack which, int64_t layers, const std::string& embedding)
      : embedding(model.parameters_, embedding, which, model.config_) {
    for (int64_t i = 0; i < layers; ++i)
      this->layers.emplace_back(model.parameters_, model.config_, model.routing_, which, i);
    if (model.config_.norm_position == config::NormPosition::kPre) {
      final_norm.emplace(model.parameters_, store::stack_name(which) + ".norm.", model.config_);
    }
  }

  TokenEmbedding embedding;
  std::vector<Layer> layers;
  std::optional<net::Norm> final_norm;
};

EncoderDecoder::EncoderDecoder(const config::ModelConfig& config, const config::RoutingConfig& routing)
    : config_(config), routing_(routing), parameters_(config), router_(config.experts.count) {
  const bool joint = config.share_embeddings == config::ShareEmbeddings::kAll;
  const std::string source = joint ? "embedding.weight" : "source_embedding.weight";
  const std::string target = joint ? "embedding.weight" : "target_embedding.weight";
  encoder_ = std::make_unique<Stack>(*this, config::Stack::kEncoder, config.encoder_layers, source);
  decoder_ = std::make_unique<Stack>(*this, config::Stack::kDecoder, config.decoder_layers, target);
  const bool own_output = config.share_embeddings == config::ShareEmbeddings::kNone;
  output_weight_ = parameters_.get(own_output ? "output.weight" : target);
}

EncoderDecoder::~EncoderDecoder() = default;

const at::Tensor& EncoderDecoder::output_weight() const {
  return output_weight_;
}

at::Tensor EncoderDecoder::run_stack(const Stack& stack, at::Tensor x, const LayerInputs& inputs) const {
  for (const Layer& layer : stack.layers) x = layer.forward(x, inputs);
  return stack.final_norm ? stack.final_norm->forward(x, inputs.context.operations) : x;
}

at::Tensor EncoderDecoder::forward(const data::TranslationBatch& batch, const net::ForwardContext& context,
                                   RouteRecord* record) const {
  const std::vector<uint64_t> sentences(batch.sentence.begin(), batch.sentence.end());
  const int64_t rows = context.passes * batch.sentences;
  const at::Tensor source = ids(batch.source, batch.sentences, context.passes);
  const at::Tensor target = ids(batch.target_input, batch.sentences, context.passes);
  const at::Tensor source_mask = padding_mask(source);

  const Side source_side{batch.source, batch.source_length},
      target_side{batch.target_input, batch.target_length};
  const auto source_lengths = source_side.lengths(context.passes),
             target_lengths = target_side.lengths(context.passes);
  LayerInputs encoder_inputs{
      .context = context,
      .shape = {rows, batch.source_length},
      .self_mask = source_mask,
      .self_fused = fused_shape(source_side, source_side, false, config_.heads, context),
      .sentences = sentences,
      .lengths = source_lengths,
      .tokens = symbols(source),
      .record = record};
  const at::Tensor memory =
      run_stack(*encoder_, encoder_->embedding.forward(source, context), encoder_inputs);

  LayerInputs decoder_inputs{
      .context = context,
      .shape = {rows, batch.target_length},
      .self_mask = causal_mask(batch.target_length),
      .self_fused = fused_shape(target_side, target_side, true, config_.heads, context),
      .sentences = sentences,
      .memory = memory,
      .memory_length = batch.source_length,
      .memory_mask = source_mask,
      .memory_fused = fused_shape(target_side, source_side, false, config_.heads, context),
      .lengths = target_lengths,
      .tokens = symbols(target),
      .record = record};
  if (config_.experts.router == config::RouterKind::kSentence) {
    decoder_inputs.memory_mean = routing::sentence_means(memory, batch.source_length, source_lengths);
  }
  return run_stack(*decoder_, decoder_->embedding.forward(target, context), decoder_inputs);
}

std::vector<int64_t> EncoderDecoder::drawn_experts(const net::ForwardContext& context, int64_t pass) const {
  std::vector<int64_t> drawn;
  const at::Tensor none;
  for (const config::Stack which : {config::Stack::kEncoder, config::Stack::kDecoder}) {
    const int64_t layers = which == config::Stack::kEncoder ? config_.encoder_layers : config_.decoder_layers;
    for (int64_t layer = 0; layer < layers; ++layer) {
      if (!config::is_expert_layer(config_.experts, layer)) continue;
      drawn.push_back(router_.draw(
          {.hidden = none, .sentences = {}, .length = 0, .stack = which, .layer = layer, .context = context},
          pass));
    }
  }
  return drawn;
}

}  // namespace megin::model
