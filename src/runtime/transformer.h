// A Transformer in use: the one implementation that translates, goes on with texts, evaluates and validates.
// A causal_lm does not look at its sources: what it goes on with is fed to it step by step, as a prefix. A
// masked_lm says no next token: see masked_model.h.
//
// The log-probabilities of a row depend on its sentence, its tokens and the dispatch, and on nothing else:
// the same bits in any batch, in any beam and on any thread of one machine.
#pragma once

#include <filesystem>
#include <limits>
#include <memory>

#include "runtime/measurements.h"
#include "runtime/weights.h"
#include "search/next_token_model.h"

namespace megin::runtime {

class Transformer : public search::NextTokenModel {
 public:
  // Throws UsageError when the model cannot serve the dispatch. Several models may share the weights.
  // What measures must outlive the model, which is then for one thread.
  Transformer(std::shared_ptr<const Weights> weights, config::Dispatch dispatch, Measurements measured = {});

  const config::ModelConfig& config() const { return weights_->config; }
  const config::Dispatch& dispatch() const { return dispatch_; }
  std::shared_ptr<const Weights> weights() const { return weights_; }
  const Measurements& measured() const { return measured_; }

  int64_t vocabulary() const override { return config().target_vocabulary; }
  // A model with relative positions goes on for ever.
  int64_t max_length() const override {
    return config::has_memory(config()) ? std::numeric_limits<int32_t>::max() : config().max_length;
  }
  // Throws UsageError for a masked_lm.
  std::unique_ptr<search::DecodingState> begin(std::span<const search::Source> sources,
                                               int64_t rows_per_source) const override;
  void step(search::DecodingState& state, std::span<const int32_t> tokens,
            std::span<float> log_probs) const override;
  void reorder(search::DecodingState& state, std::span<const int64_t> rows) const override;

  // Feeds one token to each row, as step() does, and writes what the output's matrix would multiply instead
  // of what that says of the next token: [rows, width], row-major.
  void read(search::DecodingState& state, std::span<const int32_t> tokens, std::span<float> states) const;

 private:
  std::shared_ptr<const Weights> weights_;
  config::Dispatch dispatch_;
  Measurements measured_;
};

}  // namespace megin::runtime
