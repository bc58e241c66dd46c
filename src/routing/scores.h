// What routers with learned scores share: the scores, the choice of the highest, gates, and the losses and
// statistics over them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <span>
#include <vector>

#include "config/model_config.h"
#include "config/train_config.h"
#include "routing/route.h"

namespace megin::routing {

// x: [rows, d], multiplied element by element with U(1 - jitter, 1 + jitter) in training (Fedus et al. 2021,
// section 2.2); x itself where there is none.
at::Tensor jittered(const at::Tensor& x, double jitter, const RouteRequest& request);

// The key of a router's draws of one layer in one micro-batch, for all passes of the batch. `use` tells the
// draws of one router apart.
uint64_t routing_key(const RouteRequest& request, uint64_t use);

// The columns of the `k` largest values of each row, largest first; equal ones by the lower column. values:
// [rows, N], fp32. Returns [rows, k], int64.
at::Tensor highest(const at::Tensor& values, int64_t k);

// [rows, k], fp32: what the outputs of the chosen experts are multiplied by; undefined for Gate::kNone.
// Differentiable in the scores.
at::Tensor gates_of(const at::Tensor& scores, const at::Tensor& chosen, config::Gate gate);

// The losses that have a weight. scores: [routed, N] and chosen: [routed, k] of routed rows only.
RouteLosses route_losses(const at::Tensor& scores, const at::Tensor& chosen,
                         const config::RoutingConfig& weights);

// Loads, confidence and entropy of the same rows.
RouteStatistics route_statistics(const at::Tensor& scores, const at::Tensor& chosen);

// Puts choices of `rows` ([rows, k]) into a tensor for all `count` rows; the others have no expert.
at::Tensor for_all_rows(const at::Tensor& chosen, std::span<const int64_t> rows, int64_t count);

// [S, d]: the mean over each sentence's tokens of x, [S * length, d]; lengths: [S]. Differentiable.
at::Tensor sentence_means(const at::Tensor& x, int64_t length, std::span<const int64_t> lengths);

}  // namespace megin::routing
