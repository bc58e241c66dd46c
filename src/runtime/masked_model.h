// An encoder-only model in use (model.kind masked_lm): the final states of its tokens, and what it finds
// likely at their places. Without libtorch.
//
// A sentence's numbers depend on its tokens, its number and the dispatch, and on nothing else: the same bits
// whatever else is read with it, and on any thread of one machine.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "runtime/measurements.h"
#include "runtime/weights.h"
#include "search/next_token_model.h"

namespace megin::runtime {

// Final states of some sentences, the tokens of all one after another: sentence s has rows offsets[s] to
// offsets[s + 1]. Row offsets[s] is that of its begin mark. A plain value.
struct TokenStates {
  int64_t width = 0;
  std::vector<int64_t> offsets;
  std::vector<float> values;  // [tokens, width]

  int64_t tokens() const { return offsets.empty() ? 0 : offsets.back(); }
  std::span<const float> row(int64_t token) const {
    return std::span(values).subspan(static_cast<size_t>(token * width), static_cast<size_t>(width));
  }
};

// Const after construction and safe to share between threads, unless something is measured.
class MaskedModel {
 public:
  // Throws UsageError for a model of another kind, or one that cannot serve the dispatch. measured: as of
  // Workspace; must outlive the model, which is then for one thread.
  MaskedModel(std::shared_ptr<const Weights> weights, config::Dispatch dispatch, Measurements measured = {});

  const config::ModelConfig& config() const { return weights_->config; }
  const config::Dispatch& dispatch() const { return dispatch_; }
  int64_t vocabulary() const { return config().target_vocabulary; }
  int64_t max_length() const { return config().max_length; }  // tokens of a sentence, marks included

  // sentences: ids with the begin mark first, as trained, and their numbers (by which experts may be drawn).
  // Throws Error for one without tokens or longer than max_length(), or a token that is no id.
  TokenStates states(std::span<const search::Source> sentences) const;

  // The logits of each symbol at rows of states(): [rows.size(), vocabulary], after the output transform.
  std::vector<float> logits(const TokenStates& states, std::span<const int64_t> rows) const;

  // The same as natural logarithms of probabilities.
  std::vector<float> log_probs(const TokenStates& states, std::span<const int64_t> rows) const;

 private:
  std::shared_ptr<const Weights> weights_;
  config::Dispatch dispatch_;
  Measurements measured_;
};

}  // namespace megin::runtime
