#include "model/transformer.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "config/position_buckets.h"
#include "model/layer.h"
#include "model/token_embedding.h"
#include "net/dropout.h"
#include "net/positions.h"
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
                                                            bool causal, const config::ModelConfig& config,
                                                            const net::ForwardContext& context) {
  if (!context.operations.fused(config::FusedPart::kAttention)) return nullptr;
  auto shape = std::make_shared<net::FusedAttentionShape>();
  shape->heads = config.heads;
  shape->scaled = config.scale_attention;
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
      : embedding(model.parameters_, embedding, which, model.config_),
        depth(config::layers_of(model.config_, which)) {
    const config::ModelConfig& config = model.config_;
    for (int64_t i = 0; i < config::stored_layers_of(config, which); ++i)
      layers.emplace_back(model.parameters_, config, model.routing_, which, i);
    if (config.positions == config::Positions::kBucketed) {
      position_table = model.parameters_.get(store::stack_name(which) + ".positions.weight");
    }
    if (config.norm_position != config::NormPosition::kPre) return;
    const int64_t norms = which == config::Stack::kDecoder ? config::decoders_of(config) : 1;
    for (int64_t of = 0; of < norms; ++of) {
      final_norms.emplace_back(model.parameters_, store::final_norm_name(which, of) + ".", config);
    }
  }

  // What self-attention adds to scores in sentences of this length, for all layers: as
  // net::SelfAttention::Inputs has it; undefined without bucketed positions.
  at::Tensor position_bias(const config::ModelConfig& config, config::Stack which, int64_t length) const {
    if (!position_table.defined()) return {};
    const auto buckets = config::position_buckets(config, which, 1 - length, length - 1);
    return position_table.index_select(0, at::tensor(buckets, at::kLong)).t().contiguous();
  }

  TokenEmbedding embedding;
  at::Tensor position_table;           // of bucketed positions, [buckets, heads]; else undefined
  int64_t depth;                       // layers that a token passes
  std::vector<Layer> layers;           // of a mixture of decoders: those of one after those of the other
  std::vector<net::Norm> final_norms;  // pre-norm only, one for each decoder
};

// What a run of the decoder is given beside its batch.
struct Transformer::DecoderRun {
  const at::Tensor& memory;  // the encoder's states; undefined without an encoder
  const at::Tensor& noise;   // as EmbeddingNoise::target
  at::Tensor first = {};     // as TokenEmbedding::forward() takes it
  int64_t decoder = 0;       // of a mixture
  RouteRecord* record = nullptr;
  SegmentMemory* segments = nullptr;  // of relative positions; null: the batch stands alone
};

Transformer::Transformer(const config::ModelConfig& config, const config::RoutingConfig& routing)
    : config_(config), routing_(routing), parameters_(config), router_(config.experts.count) {
  const bool joint = config::shares_inputs(config);
  const std::string source = joint ? "embedding.weight" : "source_embedding.weight";
  const std::string target = joint ? "embedding.weight" : "target_embedding.weight";
  if (config::has_encoder(config)) {
    encoder_ = std::make_unique<Stack>(*this, config::Stack::kEncoder, source);
  }
  if (config::has_decoder(config)) {
    decoder_ = std::make_unique<Stack>(*this, config::Stack::kDecoder, target);
  }
  output_weight_ = parameters_.get(config::has_own_output(config) ? "output.weight" : target);
  if (config.output_transform) output_transform_.emplace(parameters_, config);
  if (config.output_bias) output_bias_ = parameters_.get("output.bias");
  if (config.begin_vector) begin_ = parameters_.get("decoder.begin");
  if (!config::is_mixture(config)) return;
  if (config.mixture.kind == config::MixtureKind::kBegin) begin_ = parameters_.get("mixture.begin");
  if (!config::has_learned_prior(config)) return;
  prior_hidden_ = parameters_.get("mixture.prior.hidden.weight");
  prior_hidden_bias_ = parameters_.get("mixture.prior.hidden.bias");
  prior_output_ = parameters_.get("mixture.prior.output.weight");
  prior_output_bias_ = parameters_.get("mixture.prior.output.bias");
}

Transformer::~Transformer() = default;

at::Tensor Transformer::transformed(const at::Tensor& states, net::Operations operations) const {
  return output_transform_ ? output_transform_->forward(states, operations) : states;
}

const at::Tensor& Transformer::output_weight() const {
  return output_weight_;
}

at::Tensor Transformer::run_stack(const Stack& stack, int64_t decoder, at::Tensor x,
                                  const LayerInputs& inputs) const {
  for (int64_t i = decoder * stack.depth; i < (decoder + 1) * stack.depth; ++i) {
    x = stack.layers[static_cast<size_t>(i)].forward(x, inputs);
  }
  if (stack.final_norms.empty()) return x;
  return stack.final_norms[static_cast<size_t>(decoder)].forward(x, inputs.context.operations);
}

// The layers of a model with relative positions, the states at the input of each remembered.
at::Tensor Transformer::run_segment(at::Tensor x, LayerInputs& inputs, int64_t sentences,
                                    SegmentMemory& memory) const {
  const net::ForwardContext& context = inputs.context;
  const auto first = static_cast<size_t>(context.first_pass), passes = static_cast<size_t>(context.passes);
  const size_t depth = decoder_->layers.size();
  if (memory.passes.size() < first + passes) memory.passes.resize(first + passes);
  const std::span<std::vector<at::Tensor>> of_passes = std::span(memory.passes).subspan(first, passes);
  if (inputs.first_position == 0) {
    for (auto& layers : of_passes) layers.assign(depth, at::Tensor());
  }
  // Rows that have ended are the last ones.
  const auto past_of = [&](size_t layer) {
    std::vector<at::Tensor> parts;
    for (const auto& layers : of_passes) {
      if (layers[layer].defined()) parts.push_back(layers[layer].narrow(0, 0, sentences));
    }
    return parts.empty() ? at::Tensor() : at::cat(parts);
  };
  const at::Tensor some = past_of(0);
  const int64_t remembered = some.defined() ? some.size(1) : 0;
  const int64_t length = inputs.shape.length, width = config_.width;
  const int64_t most =
      (context.training ? config::training_segments(config_) : config::evaluation_segments(config_)).memory;
  const int64_t kept = std::min(most, remembered + length);
  const net::DropoutSite site{
      .stack = config::Stack::kDecoder, .layer = 0, .place = net::DropoutSite::kDistances};
  inputs.distances =
      net::dropout(net::distance_vectors(remembered + length, width).repeat({context.passes, 1}),
                   net::dropout_mask(context, config_.dropout, site))
          .view({context.passes, remembered + length, width});
  for (size_t i = 0; i < depth; ++i) {
    const at::Tensor past = past_of(i);
    const at::Tensor now = x.detach().view({inputs.shape.sentences, length, width});
    const at::Tensor all = past.defined() ? at::cat({past, now}, 1) : now;
    const at::Tensor last = all.narrow(1, all.size(1) - kept, kept).contiguous();
    for (size_t p = 0; p < passes; ++p) {
      of_passes[p][i] = last.narrow(0, static_cast<int64_t>(p) * sentences, sentences);
    }
    x = decoder_->layers[i].forward(x, inputs, past);
  }
  if (!decoder_->final_norms.empty()) x = decoder_->final_norms[0].forward(x, context.operations);
  const net::DropoutSite end{.stack = config::Stack::kDecoder, .layer = 0, .place = net::DropoutSite::kFinal};
  return net::dropout(x, net::dropout_mask(context, config_.dropout, end));
}

at::Tensor Transformer::run_encoder(const data::TokenBatch& batch, const net::ForwardContext& context,
                                    RouteRecord* record, const at::Tensor& noise) const {
  const std::vector<uint64_t> sentences(batch.sentence.begin(), batch.sentence.end());
  const at::Tensor source = ids(batch.source, batch.sentences, context.passes);
  const Side side{batch.source, batch.source_length};
  const auto lengths = side.lengths(context.passes);
  const LayerInputs inputs{
      .context = context,
      .shape = {context.passes * batch.sentences, batch.source_length},
      .self_mask = padding_mask(source),
      .self_fused = fused_shape(side, side, false, config_, context),
      .sentences = sentences,
      .lengths = lengths,
      .tokens = symbols(source),
      .position_bias = encoder_->position_bias(config_, config::Stack::kEncoder, batch.source_length),
      .record = record};
  return run_stack(*encoder_, 0, encoder_->embedding.forward(source, context, noise), inputs);
}

at::Tensor Transformer::run_decoder(const data::TokenBatch& batch, const net::ForwardContext& context,
                                    const DecoderRun& run) const {
  const std::vector<uint64_t> sentences(batch.sentence.begin(), batch.sentence.end());
  const at::Tensor target = ids(batch.target_input, batch.sentences, context.passes);
  const Side target_side{batch.target_input, batch.target_length};
  const auto lengths = target_side.lengths(context.passes);
  LayerInputs inputs{
      .context = context,
      .shape = {context.passes * batch.sentences, batch.target_length},
      .sentences = sentences,
      .lengths = lengths,
      .tokens = symbols(target),
      .first_position = batch.first_position,
      .position_bias = decoder_->position_bias(config_, config::Stack::kDecoder, batch.target_length),
      .record = run.record};
  if (!config::has_memory(config_)) {  // else attention masks by itself
    inputs.self_mask = causal_mask(batch.target_length);
    inputs.self_fused = fused_shape(target_side, target_side, true, config_, context);
  }
  if (run.memory.defined()) {
    const Side source_side{batch.source, batch.source_length};
    inputs.memory = run.memory;
    inputs.memory_length = batch.source_length;
    inputs.memory_mask = padding_mask(ids(batch.source, batch.sentences, context.passes));
    inputs.memory_fused = fused_shape(target_side, source_side, false, config_, context);
    if (config_.experts.router == config::RouterKind::kSentence) {
      inputs.memory_mean =
          routing::sentence_means(run.memory, batch.source_length, source_side.lengths(context.passes));
    }
  }
  at::Tensor x = decoder_->embedding.forward(target, context, run.noise, run.first);
  if (!config::has_memory(config_)) {
    x = run_stack(*decoder_, run.decoder, x, inputs);
  } else {
    SegmentMemory none;
    x = run_segment(x, inputs, batch.sentences, run.segments != nullptr ? *run.segments : none);
  }
  return config_.scale_output ? x / std::sqrt(static_cast<double>(config_.width)) : x;
}

at::Tensor Transformer::forward(const data::TokenBatch& batch, const net::ForwardContext& context,
                                RouteRecord* record, const EmbeddingNoise& noise,
                                SegmentMemory* memory) const {
  if (config::is_mixture(config_)) return forward_mixture(batch, context);
  const at::Tensor source = encoder_ ? run_encoder(batch, context, record, noise.source) : at::Tensor();
  if (!decoder_) return source;
  const at::Tensor first =
      begin_.defined() ? begin_.expand({context.passes * batch.sentences, config_.width}) : begin_;
  return run_decoder(
      batch, context,
      {.memory = source, .noise = noise.target, .first = first, .record = record, .segments = memory});
}

at::Tensor Transformer::encode(const data::TokenBatch& batch, const net::ForwardContext& context) const {
  return run_encoder(batch, context, nullptr, {});
}

at::Tensor Transformer::log_prior(const data::TokenBatch& batch, const at::Tensor& memory,
                                  const net::ForwardContext& context) const {
  const int64_t components = config_.mixture.components;
  if (!config::has_learned_prior(config_)) {
    return at::full({batch.sentences, components}, -std::log(static_cast<double>(components)), at::kFloat);
  }
  const Side source{batch.source, batch.source_length};
  const at::Tensor mean = routing::sentence_means(memory, batch.source_length, source.lengths(1));
  const net::DropoutSite site{
      .stack = config::Stack::kEncoder, .layer = 0, .place = net::DropoutSite::kPrior};
  const at::Tensor hidden = net::dropout(at::tanh(at::linear(mean, prior_hidden_, prior_hidden_bias_)),
                                         net::dropout_mask(context, config_.dropout, site));
  return at::log_softmax(at::linear(hidden, prior_output_, prior_output_bias_), -1);
}

at::Tensor Transformer::decode(const data::TokenBatch& batch, const at::Tensor& memory,
                               std::span<const int64_t> components,
                               const net::ForwardContext& context) const {
  const at::Tensor none;
  if (begin_.defined()) {
    const at::Tensor first =
        begin_.index_select(0, at::tensor(at::IntArrayRef(components.data(), components.size()), at::kLong));
    return run_decoder(batch, context, {.memory = memory, .noise = none, .first = first});
  }
  // Sentences by their decoder; `order` says which, so as to put them back.
  std::vector<at::Tensor> states;
  std::vector<int64_t> order;
  for (int64_t decoder = 0; decoder < config_.mixture.components; ++decoder) {
    std::vector<int64_t> rows;
    for (size_t i = 0; i < components.size(); ++i) {
      if (components[i] == decoder) rows.push_back(static_cast<int64_t>(i));
    }
    if (rows.empty()) continue;
    order.insert(order.end(), rows.begin(), rows.end());
    const at::Tensor read = memory.view({batch.sentences, -1})
                                .index_select(0, at::tensor(rows, at::kLong))
                                .view({-1, config_.width});
    net::ForwardContext own = context;
    own.first_pass += decoder;  // dropout of its own
    const at::Tensor found = run_decoder(data::select_sentences(batch, rows), own,
                                         {.memory = read, .noise = none, .decoder = decoder});
    states.push_back(found.view({static_cast<int64_t>(rows.size()), -1}));
  }
  return at::cat(states).index_select(0, at::tensor(order, at::kLong).argsort()).view({-1, config_.width});
}

// In use: the component that the dispatch names, or the likeliest of each source.
at::Tensor Transformer::forward_mixture(const data::TokenBatch& batch,
                                        const net::ForwardContext& context) const {
  const at::Tensor memory = encode(batch, context);
  std::vector<int64_t> components(static_cast<size_t>(batch.sentences));
  if (context.dispatch.mode == config::DispatchMode::kPath) {
    std::ranges::fill(components, context.dispatch.path[0]);
  } else {
    const at::Tensor likeliest = routing::highest(log_prior(batch, memory, context), 1);
    std::copy_n(likeliest.data_ptr<int64_t>(), components.size(), components.begin());
  }
  return decode(batch, memory, components, context);
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
