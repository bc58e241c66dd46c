// What passes between a router and an expert layer, and nothing else: every method of routing is a new
// router, not a new layer.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "net/forward_context.h"

namespace megin::routing {

struct Route {
  enum class Kind {
    kUniform,   // all tokens of a pass use one expert
    kPerToken,  // each token has its k experts
    kAll,       // every token uses every expert
  };
  Kind kind = Kind::kUniform;
  std::vector<int64_t> uniform = {};  // kUniform: the expert of each pass of the batch
  at::Tensor experts = {};            // kPerToken: [tokens, k], int64
  at::Tensor gates = {};  // kPerToken: [tokens, k], kAll: [tokens, N], fp32; undefined: 1, or the plain mean
};

// What a router may look at. Routers are pure functions of it and of their parameters.
struct RouteRequest {
  const at::Tensor& hidden;             // [tokens, d], fp32: sentence after sentence, pass after pass
  std::span<const uint64_t> sentences;  // [tokens of one pass / length] number of each sentence in its set
  int64_t length = 0;                   // positions of a sentence, padding included
  config::Stack stack = config::Stack::kEncoder;
  int64_t layer = 0;         // index in its stack, from 0
  int64_t expert_layer = 0;  // number of the expert layer over both stacks, encoder first
  const net::ForwardContext& context;
};

}  // namespace megin::routing
