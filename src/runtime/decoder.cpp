#include "runtime/decoder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "matrix/highest.h"
#include "runtime/expert_choice.h"

namespace megin::runtime {
namespace {

// The part of its row's past that the token at `position` looks at.
struct Window {
  int64_t first_block = 0;
  int64_t length = 0;   // positions from the beginning of the first block, the token's own included
  int64_t skipped = 0;  // of them, the first ones that it does not see
};

Window window_of(const config::ModelConfig& config, int64_t position) {
  if (!config::has_memory(config)) return {.length = position + 1};
  const int64_t first = config::evaluation_segments(config).first_seen(position);
  const int64_t block = first / kBlockPositions;
  return {block, position + 1 - block * kBlockPositions, first - block * kBlockPositions};
}

// Positions of its past that a row keeps.
int64_t kept_positions(const config::ModelConfig& config) {
  return config::has_memory(config) ? config::attention_reach(config) + kBlockPositions : config.max_length;
}

// One step: what its parts have in common.
class DecoderStep {
 public:
  DecoderStep(const Weights& weights, const config::Dispatch& dispatch, DecoderState& state)
      : weights_(weights), dispatch_(dispatch), state_(state), position_(state.cache.length()) {}

  void run(std::span<const int32_t> tokens, std::span<float> log_probs) {
    const Rows x = run_states(tokens);
    const int64_t vocabulary = weights_.config.target_vocabulary;
    const Rows logits{log_probs.data(), x.count, vocabulary};
    multiply(weights_.output, weights_.output_bias, x, logits);
    log_softmax(vocabulary, logits);
  }

  // What the output's matrix multiplies; they stand in the state until the next step.
  Rows run_states(std::span<const int32_t> tokens) {
    state_.cache.extend();
    remember(tokens);
    const int64_t rows = static_cast<int64_t>(tokens.size());
    state_.work.reserve(rows);
    const Rows x = state_.work.states.rows(rows);
    for (int64_t r = 0; r < rows; ++r) {
      embed(weights_, weights_.decoder, tokens[static_cast<size_t>(r)], position_, x.row(r));
    }
    if (position_ == 0 && !weights_.mixture.begin.empty()) begin(x);
    for (int64_t r = 0; position_ == 0 && !weights_.begin.empty() && r < rows; ++r) {
      embed_vector(weights_, weights_.decoder, weights_.begin, position_, x.row(r));
    }
    if (config::decoders_of(weights_.config) == 1) {
      run_layers(0, x);
    } else {
      run_decoders(x);
    }
    if (weights_.config.scale_output) {
      scale(1.0F / std::sqrt(static_cast<float>(weights_.config.width)), weights_.config.width, x);
    }
    return x;
  }

 private:
  void remember(std::span<const int32_t> tokens) {
    if (state_.reach == 0) return;
    const auto reach = static_cast<std::ptrdiff_t>(state_.reach);
    for (auto row = state_.recent.begin(); const int32_t token : tokens) {
      std::copy(row + 1, row + reach, row);
      row += reach;
      *(row - 1) = token;
    }
  }

  // Those of a row that there were.
  std::span<const int32_t> recent_of(int64_t row) const {
    const auto all = std::span(std::as_const(state_.recent))
                         .subspan(static_cast<size_t>(row * state_.reach), static_cast<size_t>(state_.reach));
    return all.subspan(
        static_cast<size_t>(std::ranges::find_if(all, [](int32_t t) { return t >= 0; }) - all.begin()));
  }

  int64_t source_of(int64_t row) const { return state_.source_of[static_cast<size_t>(row_of(row))]; }

  // The row of the state that a row under way is.
  int64_t row_of(int64_t row) const {
    return state_.under_way.empty() ? row : state_.under_way[static_cast<size_t>(row)];
  }

  // The first vectors of a mixture's components, in place of the mark that was fed.
  void begin(Rows x) {
    const int64_t width = weights_.config.width;
    for (int64_t r = 0; r < x.count; ++r) {
      const int64_t component = state_.memory.component(source_of(r));
      embed_vector(
          weights_, weights_.decoder,
          weights_.mixture.begin.subspan(static_cast<size_t>(component * width), static_cast<size_t>(width)),
          position_, x.row(r));
    }
  }

  // Rows by the decoder of their sources.
  void run_decoders(Rows x) {
    const int64_t width = weights_.config.width;
    std::vector<int64_t>& rows = state_.under_way;
    for (int64_t decoder = 0; decoder < weights_.config.mixture.components; ++decoder) {
      rows.clear();
      for (int64_t r = 0; r < x.count; ++r) {
        const int64_t source = state_.source_of[static_cast<size_t>(r)];
        if (state_.memory.component(source) == decoder) rows.push_back(r);
      }
      if (rows.empty()) continue;
      const Rows own = state_.work.of_decoder.rows(static_cast<int64_t>(rows.size()));
      for (int64_t r = 0; r < own.count; ++r) std::copy_n(x.row(row_of(r)), width, own.row(r));
      run_layers(decoder, own);
      for (int64_t r = 0; r < own.count; ++r) std::copy_n(own.row(r), width, x.row(row_of(r)));
    }
    rows.clear();
  }

  void run_layers(int64_t decoder, Rows x) {
    const int64_t layers = weights_.config.decoder_layers;
    for (int64_t i = 0; i < layers; ++i) {
      run_layer(weights_.decoder.layers[static_cast<size_t>(decoder * layers + i)], static_cast<size_t>(i),
                x);
    }
    if (weights_.decoder.norms.empty()) return;
    normalise(weights_.decoder.norms[static_cast<size_t>(decoder)], x, x);
  }

  // `index`: of the layer in its decoder.
  void run_layer(const LayerWeights& layer, size_t index, Rows x) {
    const int64_t i = static_cast<int64_t>(index);
    residual(weights_, layer.self_norm, x, state_.work,
             [&](ConstRows in, Rows out) { self_attention(layer, i, in, out); });
    if (!config::is_causal_lm(weights_.config)) {
      residual(weights_, layer.cross_norm, x, state_.work,
               [&](ConstRows in, Rows out) { cross_attention(layer, i, in, out); });
    }
    residual(weights_, layer.feed_forward_norm, x, state_.work, [&](ConstRows in, Rows out) {
      if (layer.experts->count() > 1) choose_experts(layer, index, in);
      feed_forward(weights_, layer, dispatch_.mode, in, out, state_.work);
    });
    if (layer.inserted.empty()) return;
    if (layer.chooses) choose_experts(layer, index, x);
    run_inserted(weights_, layer, dispatch_.mode, x, state_.work);
  }

  void self_attention(const LayerWeights& layer, int64_t index, ConstRows in, Rows out) {
    Workspace& work = state_.work;
    const AttentionShape shape = weights_.attention();
    const Rows projected = work.projected.rows(in.count);
    const Rows context = work.context.rows(in.count);
    layer.query_key_value(in, projected);
    const Window window = window_of(weights_.config, position_);
    for (int64_t r = 0; r < in.count; ++r) {
      float* query = projected.row(r);
      float* key = query + shape.width();
      if (weights_.rotary()) {
        rotate(weights_, position_, query);
        rotate(weights_, position_, key);
      }
      store_position(shape, key, key + shape.width(), position_ % kBlockPositions,
                     state_.cache.block(row_of(r), index, position_ / kBlockPositions));
      for (int64_t b = 0; b < blocks_for(window.length); ++b) {
        work.blocks[static_cast<size_t>(b)] = state_.cache.block(row_of(r), index, window.first_block + b);
      }
      AttentionCall call{query,          work.blocks,   window.length, work.scores.data(),
                         context.row(r), window.skipped};
      if (layer.distances) look_at_distances(layer, call);
      call.positions = weights_.position_terms(weights_.decoder, position_);
      attend(shape, call);
    }
    layer.self_output(context, out);
  }

  // The query with the bias u looks at contents, with v at distances.
  void look_at_distances(const LayerWeights& layer, AttentionCall& call) {
    Workspace& work = state_.work;
    const size_t width = weights_.content_bias.size();
    for (size_t i = 0; i < width; ++i) {
      work.biased_query[i] = call.query[i] + weights_.content_bias[i];
      work.biased_query[width + i] = call.query[i] + weights_.distance_bias[i];
    }
    call.query = work.biased_query.data();
    call.distances = {work.biased_query.data() + width, layer.distances.get(), work.distance_scores.data()};
  }

  void cross_attention(const LayerWeights& layer, int64_t index, ConstRows in, Rows out) {
    Workspace& work = state_.work;
    const Rows query = work.projected.rows(in.count);
    const Rows context = work.context.rows(in.count);
    layer.cross_query(in, query);
    for (int64_t r = 0; r < in.count; ++r) {
      const int64_t source = source_of(r);
      state_.memory.blocks(source, index, work.blocks);
      attend(weights_.attention(),
             {query.row(r), work.blocks, state_.memory.length(source), work.scores.data(), context.row(r)});
    }
    layer.cross_output(context, out);
  }

  void choose_experts(const LayerWeights& layer, size_t index, ConstRows in) {
    enter_expert_layer(weights_, layer, dispatch_, state_.work);
    if (draws_past_router(weights_.config.experts, dispatch_)) {
      draw_experts(layer, index, in.count);
      return gate_chosen(weights_, layer, in, state_.work);
    }
    switch (weights_.config.experts.router) {
      case config::RouterKind::kRandom:
      case config::RouterKind::kUniform:
        return draw_experts(layer, index, in.count);
      case config::RouterKind::kTopK:
      case config::RouterKind::kFixed:
      case config::RouterKind::kBase:
        return choose_by_score(weights_, layer, in, 0, state_.work);
      case config::RouterKind::kSentence:
        for (int64_t r = 0; r < in.count; ++r) {
          choose_by_score(weights_, layer, state_.memory.mean(state_.source_of[static_cast<size_t>(r)]), r,
                          state_.work);
        }
        return;
      case config::RouterKind::kHash:
      case config::RouterKind::kDistilled:
        if (!layer.router.positions.empty()) {
          for (int64_t r = 0; r < in.count; ++r) choose_by_position(layer, position_, r, state_.work);
          return;
        }
        for (int64_t r = 0; r < in.count; ++r) {
          choose_by_symbol(layer, recent_of(r), r, state_.work);
        }
        return gate_chosen(weights_, layer, in, state_.work);
      case config::RouterKind::kExpertChoice:
        return;  // never in a decoder
    }
  }

  void draw_experts(const LayerWeights& layer, size_t index, int64_t rows) {
    if (dispatch_.mode == config::DispatchMode::kEnsemble) return;
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t source = state_.source_of[static_cast<size_t>(r)];
      const config::TokenPlace place{.sentence = state_.sentences[static_cast<size_t>(source)],
                                     .position = static_cast<uint64_t>(position_),
                                     .stack = config::Stack::kDecoder,
                                     .layer = index,
                                     .expert_layer = layer.expert_layer};
      draw_for_row(weights_, dispatch_, place, r, state_.work);
    }
  }

  const Weights& weights_;
  const config::Dispatch& dispatch_;
  DecoderState& state_;
  int64_t position_;
};

}  // namespace

SourceMemory::SourceMemory(const Weights& weights, const config::Dispatch& dispatch, const Encoded& encoded,
                           Workspace& work)
    : shape_(weights.attention()) {
  const int64_t layers = weights.config.decoder_layers;
  const size_t sources = encoded.offsets.size() - 1;
  for (size_t s = 0; s < sources; ++s) {
    lengths_.push_back(encoded.offsets[s + 1] - encoded.offsets[s]);
    const int64_t floats = layers * blocks_for(lengths_[s]) * shape_.block_floats();
    memory_.push_back(hwy::AllocateAligned<float>(static_cast<size_t>(floats)));
  }
  if (weights.config.experts.router == config::RouterKind::kSentence ||
      config::has_learned_prior(weights.config)) {
    const int64_t width = weights.config.width;
    means_ = RowBuffer(width);
    means_.reserve(static_cast<int64_t>(sources));
    for (size_t s = 0; s < sources; ++s) {
      mean_of_rows({encoded.states.row(encoded.offsets[s]), lengths_[s], encoded.states.stride}, width,
                   means_.rows(static_cast<int64_t>(sources)).row(static_cast<int64_t>(s)));
    }
  }
  choose_components(weights, dispatch);
  for (int64_t layer = 0; layer < layers; ++layer) add_layer(weights, layer, encoded, work);
}

// Those that the dispatch names, or the likeliest (log softmax keeps their order).
void SourceMemory::choose_components(const Weights& weights, const config::Dispatch& dispatch) {
  components_.assign(lengths_.size(), 0);
  if (!config::is_mixture(weights.config)) return;
  if (dispatch.mode == config::DispatchMode::kPath) {
    std::ranges::fill(components_, dispatch.path[0]);
    return;
  }
  const auto sources = static_cast<int64_t>(lengths_.size());
  RowBuffer hidden(weights.config.width), scores(weights.config.mixture.components);
  hidden.reserve(sources);
  scores.reserve(sources);
  const Rows middle = hidden.rows(sources), found = scores.rows(sources);
  weights.mixture.prior_hidden(means_.rows(sources), middle);
  for (int64_t s = 0; s < sources; ++s) {
    for (int64_t i = 0; i < weights.config.width; ++i) middle.row(s)[i] = std::tanh(middle.row(s)[i]);
  }
  weights.mixture.prior_output(middle, found);
  for (int64_t s = 0; s < sources; ++s) {
    matrix::choose_highest({found.row(s), static_cast<size_t>(weights.config.mixture.components)},
                           {&components_[static_cast<size_t>(s)], 1});
  }
}

// Keys and values of one layer. Sources that follow each other and have one decoder are projected together.
void SourceMemory::add_layer(const Weights& weights, int64_t layer, const Encoded& encoded, Workspace& work) {
  const Rows projected = work.projected.rows(encoded.states.count);
  const int64_t layers = weights.config.decoder_layers;
  const bool own_decoders = config::decoders_of(weights.config) > 1;
  for (size_t s = 0, end = 0; s < lengths_.size(); s = end) {
    end = s + 1;
    while (end < lengths_.size() && (!own_decoders || components_[end] == components_[s])) ++end;
    const int64_t decoder = own_decoders ? components_[s] : 0;
    const int64_t from = encoded.offsets[s], count = encoded.offsets[end] - from;
    weights.decoder.layers[static_cast<size_t>(decoder * layers + layer)].cross_key_value(
        {encoded.states.row(from), count, encoded.states.stride},
        Rows{projected.row(from), count, projected.stride});
  }
  for (size_t s = 0; s < lengths_.size(); ++s) {
    float* blocks = memory_[s].get() + layer * blocks_for(lengths_[s]) * shape_.block_floats();
    for (int64_t t = 0; t < lengths_[s]; ++t) {
      const float* key = projected.row(encoded.offsets[s] + t);
      store_position(shape_, key, key + shape_.width(), t % kBlockPositions,
                     blocks + t / kBlockPositions * shape_.block_floats());
    }
  }
}

ConstRows SourceMemory::mean(int64_t source) const {
  return Rows{means_.rows(source + 1).row(source), 1, shape_.width()};
}

void SourceMemory::blocks(int64_t source, int64_t layer, std::vector<const float*>& blocks) const {
  const int64_t count = blocks_for(length(source));
  const float* first = memory_[static_cast<size_t>(source)].get() + layer * count * shape_.block_floats();
  for (int64_t b = 0; b < count; ++b) blocks[static_cast<size_t>(b)] = first + b * shape_.block_floats();
}

namespace {

// Symbols up to a token by which the routers of a model choose.
int64_t symbols_looked_at(const config::ModelConfig& config) {
  const config::ExpertConfig& experts = config.experts;
  if (config::count_expert_layers(config) == 0) return 0;
  if (experts.router == config::RouterKind::kHash) {
    return experts.hash == config::HashTable::kPosition ? 0 : 1;
  }
  return experts.router == config::RouterKind::kDistilled ? config::distilled_reach(experts.distilled_input)
                                                          : 0;
}

SourceMemory read_sources(const Weights& weights, const config::Dispatch& dispatch,
                          std::span<const search::Source> sources, Workspace& work) {
  if (config::is_causal_lm(weights.config)) return {};
  return {weights, dispatch, encode(weights, dispatch, sources, work), work};
}

}  // namespace

DecoderState::DecoderState(const Weights& weights, const config::Dispatch& dispatch,
                           std::span<const search::Source> sources, int64_t rows_per_source,
                           Measurements measured)
    : work(weights.config, dispatch, measured),
      memory(read_sources(weights, dispatch, sources, work)),
      cache(weights.attention(), weights.config.decoder_layers,
            static_cast<int64_t>(sources.size()) * rows_per_source, kept_positions(weights.config)) {
  for (size_t s = 0; s < sources.size(); ++s) {
    sentences.push_back(sources[s].sentence);
    source_of.insert(source_of.end(), static_cast<size_t>(rows_per_source), static_cast<int64_t>(s));
  }
  work.reserve(cache.rows());
  reach = symbols_looked_at(weights.config);
  recent.assign(static_cast<size_t>(cache.rows() * reach), -1);
  under_way.reserve(static_cast<size_t>(cache.rows()));
}

namespace {

void require_room(const Weights& weights, const DecoderState& state) {
  if (!config::has_memory(weights.config) && state.cache.length() >= weights.config.max_length) {
    fail_usage("decoding: wanted at most {} tokens, the model's longest target; found one more",
               weights.config.max_length);
  }
}

}  // namespace

void decode_step(const Weights& weights, const config::Dispatch& dispatch, DecoderState& state,
                 std::span<const int32_t> tokens, std::span<float> log_probs) {
  require_room(weights, state);
  DecoderStep(weights, dispatch, state).run(tokens, log_probs);
}

void decode_states(const Weights& weights, const config::Dispatch& dispatch, DecoderState& state,
                   std::span<const int32_t> tokens, Rows states) {
  require_room(weights, state);
  const Rows found = DecoderStep(weights, dispatch, state).run_states(tokens);
  for (int64_t r = 0; r < found.count; ++r) std::copy_n(found.row(r), weights.config.width, states.row(r));
}

}  // namespace megin::runtime
