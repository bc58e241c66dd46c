#include "runtime/encoder.h"

#include <algorithm>

#include "base/error.h"
#include "runtime/expert_choice.h"

namespace megin::runtime {
namespace {

// One run over a batch: what its steps have in common.
class EncoderRun {
 public:
  EncoderRun(const Weights& weights, const config::Dispatch& dispatch,
             std::span<const search::Source> sources, Workspace& work)
      : weights_(weights),
        dispatch_(dispatch),
        sources_(sources),
        work_(work),
        blocks_(weights.attention().block_floats()) {}

  Encoded run() {
    measure();
    embed_tokens();
    const Rows x = encoded_.states;
    for (size_t i = 0; i < weights_.encoder.layers.size(); ++i) {
      const LayerWeights& layer = weights_.encoder.layers[i];
      residual(weights_, layer.self_norm, x, work_,
               [&](ConstRows in, Rows out) { self_attention(layer, in, out); });
      residual(weights_, layer.feed_forward_norm, x, work_, [&](ConstRows in, Rows out) {
        if (layer.experts->count() > 1) choose_experts(layer, i, in);
        feed_forward(weights_, layer, dispatch_.mode, in, out, work_);
      });
      if (layer.inserted.empty()) continue;
      if (layer.chooses) choose_experts(layer, i, x);
      run_inserted(weights_, layer, dispatch_.mode, x, work_);
    }
    if (weights_.config.norm_position == config::NormPosition::kPre)
      normalise(weights_.encoder.norms[0], x, x);
    return std::move(encoded_);
  }

 private:
  void measure() {
    int64_t longest = 0;
    encoded_.offsets.push_back(0);
    for (const search::Source& source : sources_) {
      const int64_t length = static_cast<int64_t>(source.tokens.size());
      if (length == 0 || length > weights_.config.max_length) {
        fail("sentence {}: wanted 1 to {} tokens, found {}", source.sentence + 1, weights_.config.max_length,
             length);
      }
      encoded_.offsets.push_back(encoded_.offsets.back() + length);
      longest = std::max(longest, length);
    }
    const int64_t tokens = encoded_.offsets.back();
    work_.reserve(tokens);
    encoded_.states = work_.states.rows(tokens);
    blocks_.reserve(blocks_for(longest));
  }

  template <typename Visit>
  void for_each_token(Visit&& visit) {  // visit(sentence, position, row)
    for (size_t s = 0; s < sources_.size(); ++s) {
      const int64_t first = encoded_.offsets[s];
      for (int64_t row = first; row < encoded_.offsets[s + 1]; ++row) visit(s, row - first, row);
    }
  }

  void embed_tokens() {
    for_each_token([&](size_t s, int64_t position, int64_t row) {
      embed(weights_, weights_.encoder, sources_[s].tokens[static_cast<size_t>(position)], position,
            encoded_.states.row(row));
    });
    if (weights_.config.norm_embeddings) {
      normalise(weights_.embedding_norm, encoded_.states, encoded_.states);
    }
  }

  void choose_experts(const LayerWeights& layer, size_t index, ConstRows in) {
    enter_expert_layer(weights_, layer, dispatch_, work_);
    if (draws_past_router(weights_.config.experts, dispatch_)) {
      draw_experts(layer, index);
      return gate_chosen(weights_, layer, in, work_);
    }
    switch (weights_.config.experts.router) {
      case config::RouterKind::kRandom:
      case config::RouterKind::kUniform:
        return draw_experts(layer, index);
      case config::RouterKind::kTopK:
      case config::RouterKind::kFixed:
      case config::RouterKind::kBase:
        return choose_by_score(weights_, layer, in, 0, work_);
      case config::RouterKind::kSentence:
        return choose_by_sentence(layer, in);
      case config::RouterKind::kHash:
      case config::RouterKind::kDistilled:
        if (!layer.router.positions.empty()) {
          return for_each_token([&](size_t, int64_t position, int64_t row) {
            choose_by_position(layer, position, row, work_);
          });
        }
        for_each_token([&](size_t s, int64_t position, int64_t row) {
          choose_by_symbol(layer, std::span(sources_[s].tokens).first(static_cast<size_t>(position) + 1), row,
                           work_);
        });
        return gate_chosen(weights_, layer, in, work_);
      case config::RouterKind::kExpertChoice:
        for (size_t s = 0; s < sources_.size(); ++s) {
          const int64_t from = encoded_.offsets[s], to = encoded_.offsets[s + 1];
          let_experts_choose(weights_, layer, {in.row(from), to - from, in.stride}, from, work_);
        }
        return;
    }
  }

  // Every token of a sentence takes the choice of the sentence's mean.
  void choose_by_sentence(const LayerWeights& layer, ConstRows in) {
    const int64_t width = weights_.config.width;
    for (size_t s = 0; s < sources_.size(); ++s) {
      const int64_t from = encoded_.offsets[s], to = encoded_.offsets[s + 1];
      const Rows mean = work_.gathered.rows(1);
      mean_of_rows({in.row(from), to - from, in.stride}, width, mean.row(0));
      choose_by_score(weights_, layer, mean, from, work_);
      for (int64_t row = from + 1; row < to; ++row) {
        work_.experts[static_cast<size_t>(row)] = work_.experts[static_cast<size_t>(from)];
        work_.gates[static_cast<size_t>(row)] = work_.gates[static_cast<size_t>(from)];
      }
    }
  }

  void draw_experts(const LayerWeights& layer, size_t index) {
    if (dispatch_.mode == config::DispatchMode::kEnsemble) return;
    for_each_token([&](size_t s, int64_t position, int64_t row) {
      const config::TokenPlace place{.sentence = sources_[s].sentence,
                                     .position = static_cast<uint64_t>(position),
                                     .stack = config::Stack::kEncoder,
                                     .layer = index,
                                     .expert_layer = layer.expert_layer};
      draw_for_row(weights_, dispatch_, place, row, work_);
    });
  }

  void self_attention(const LayerWeights& layer, ConstRows in, Rows out) {
    const int64_t width = weights_.attention().width();
    const Rows projected = work_.projected.rows(in.count);
    const Rows context = work_.context.rows(in.count);
    layer.query_key_value(in, projected);
    if (weights_.rotary()) {
      for_each_token([&](size_t, int64_t position, int64_t row) {
        rotate(weights_, position, projected.row(row));
        rotate(weights_, position, projected.row(row) + width);
      });
    }
    for (size_t s = 0; s < sources_.size(); ++s) {
      attend_within(projected, context, encoded_.offsets[s], encoded_.offsets[s + 1]);
    }
    layer.self_output(context, out);
  }

  // Every token of a sentence (rows from, from + 1 ... to - 1) attends to all of it.
  void attend_within(Rows projected, Rows context, int64_t from, int64_t to) {
    const AttentionShape shape = weights_.attention();
    const int64_t width = shape.width(), length = to - from;
    const Rows blocks = blocks_.rows(blocks_for(length));
    for (int64_t b = 0; b < blocks.count; ++b) work_.blocks[static_cast<size_t>(b)] = blocks.row(b);
    for (int64_t t = 0; t < length; ++t) {
      const float* key = projected.row(from + t) + width;
      store_position(shape, key, key + width, t % kBlockPositions, blocks.row(t / kBlockPositions));
    }
    for (int64_t row = from; row < to; ++row) {
      AttentionCall call{projected.row(row), work_.blocks, length, work_.scores.data(), context.row(row)};
      call.positions = weights_.position_terms(weights_.encoder, row - from);
      attend(shape, call);
    }
  }

  const Weights& weights_;
  const config::Dispatch& dispatch_;
  std::span<const search::Source> sources_;
  Workspace& work_;
  RowBuffer blocks_;
  Encoded encoded_;
};

}  // namespace

Encoded encode(const Weights& weights, const config::Dispatch& dispatch,
               std::span<const search::Source> sources, Workspace& work) {
  return EncoderRun(weights, dispatch, sources, work).run();
}

}  // namespace megin::runtime
