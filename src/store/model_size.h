// How large a model is and what a token costs, counted from the table of tensors. Pure functions.
#pragma once

#include <cstdint>
#include <span>

#include "config/model_config.h"
#include "config/train_config.h"

namespace megin::store {

// Parameters by what they are for. `experts` are the feed-forwards of expert layers, all of them.
struct ParameterCounts {
  int64_t embeddings = 0;    // with the output projection
  int64_t positions = 0;     // learned positions only
  int64_t attention = 0;     // self and cross, projections and biases
  int64_t feed_forward = 0;  // of layers without experts, inserted ones included, and an output transform
  int64_t experts = 0;       // of experts, with the norms of inserted ones
  int64_t routers = 0;       // what chooses among them
  int64_t norms = 0;
  int64_t classifier = 0;  // the head

  int64_t total() const {
    return embeddings + positions + attention + feed_forward + experts + routers + norms + classifier;
  }
};

// All parameters.
ParameterCounts count_parameters(const config::ModelConfig& config);

// Those that a sentence meets when each expert layer uses `active` of its experts, and one component of a
// mixture: what a dense model of this cost would have. active from 1 to config.experts.count.
// `active` may also have one number for each expert layer (encoder first).
ParameterCounts count_active_parameters(const config::ModelConfig& config, std::span<const int64_t> active);
ParameterCounts count_active_parameters(const config::ModelConfig& config, int64_t active);

// Floating-point operations of inference, a multiply-add being two; biases, norms, activations and the
// softmax are left out, as usual. Training costs three times as much per pass (forward, and twice that
// backward).
struct TokenFlops {
  double source = 0;            // a source token: the encoder, and the keys and values it gives the decoder
  double memory = 0;            // the latter alone
  double target = 0;            // a target token: the decoder and the projection to the vocabulary; of a
                                // masked_lm a predicted token, whose encoder is the source's; of a classifier
                                // the decoder alone
  double source_attention = 0;  // scores and weighted sums of a source token in a sentence of `length` tokens
  double target_attention =
      0;  // of a target token: all `length` source tokens, half of as many target tokens
};

// With `active` experts in each expert layer (all of them for an ensemble) and sides of `length` tokens; of a
// mixture, with one of its components.
TokenFlops count_token_flops(const config::ModelConfig& config, std::span<const int64_t> active,
                             int64_t length);
TokenFlops count_token_flops(const config::ModelConfig& config, int64_t active, int64_t length);

// Of training on so many tokens: forward, and twice that backward. Attention is left out.
double count_training_flops(const TokenFlops& token, const config::ComputedPasses& passes,
                            int64_t source_tokens, int64_t target_tokens);

}  // namespace megin::store
