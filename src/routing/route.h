// What passes between a router and an expert layer, and nothing else: every method of routing is a new
// router, not a new layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "net/forward_context.h"

namespace megin::routing {

// What a router adds to the objective, each a scalar: means over the tokens routed, without their weights.
// Undefined where the router has no such term.
struct RouteLosses {
  at::Tensor balance = {};  // N sum_i f_i P_i (Fedus et al. 2021, eq. 4): 1 when all experts get the same
  at::Tensor z = {};        // mean of logsumexp(scores)^2 (Zoph et al. 2022, eq. 5)
  at::Tensor distillation = {};  // mean cross-entropy of a distilled router to the experts used
};

// Counts over the tokens routed (by sentence: over sentences); padding is not routed.
struct RouteStatistics {
  std::vector<int64_t> load = {};  // choices of each expert, before any were dropped; empty: not counted
  int64_t routed = 0;              // tokens or sentences
  int64_t dropped = 0;             // choices that met a full expert, or were sampled away
  double confidence = 0;           // sum of the first choice's probability
  double entropy = 0;              // sum of the entropies of the probabilities, in nats
  std::vector<double> confidences = {};  // `confidence` by first choice; empty: not counted by it
};

struct Route {
  enum class Kind {
    kUniform,   // all tokens of a pass use one expert
    kPerToken,  // each token has its k experts
    kAll,       // every token uses every expert
  };
  static constexpr int64_t kNoExpert = -1;

  Kind kind = Kind::kUniform;
  std::vector<int64_t> uniform = {};  // kUniform: the expert of each pass of the batch
  at::Tensor experts = {};  // kPerToken: [tokens, k], int64; kNoExpert: the choice is dropped, or padding
  at::Tensor gates = {};  // kPerToken: [tokens, k], kAll: [tokens, N], fp32; undefined: 1, or the plain mean
  RouteLosses losses = {};
  RouteStatistics statistics = {};
};

// What a router may look at. Routers are pure functions of it and of their parameters.
struct RouteRequest {
  const at::Tensor& hidden;             // [tokens, d], fp32: sentence after sentence, pass after pass
  std::span<const uint64_t> sentences;  // [tokens of one pass / length] number of each sentence in its set
  int64_t length = 0;                   // positions of a sentence, padding included
  int64_t first_position = 0;  // of the first in its sentence: of a segment of a text, where it begins
  config::Stack stack = config::Stack::kEncoder;
  int64_t layer = 0;         // index in its stack, from 0
  int64_t expert_layer = 0;  // number of the expert layer over both stacks, encoder first
  const net::ForwardContext& context;
  std::span<const int64_t> lengths = {};  // [sentences of all passes] real positions of each; empty: all
  std::span<const int64_t> tokens = {};   // [tokens] symbols at the layer's stack's input
  at::Tensor memory_mean = {};            // [sentences of all passes, d], decoder: mean encoder output
};

}  // namespace megin::routing
