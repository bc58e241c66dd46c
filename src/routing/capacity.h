// Expert capacity (Fedus et al. 2021, eq. 3): an expert takes so many tokens of a batch and no more; a choice
// beyond that is dropped, and the token passes the layer by its residual alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

namespace megin::routing {

// The most choices of an expert: ceil(factor * routed tokens * active / experts), at least 1.
int64_t capacity_of(double factor, int64_t routed, int64_t active, int64_t experts);

// experts: [rows, k], int64; choices beyond the capacity of their expert become Route::kNoExpert. Kept are,
// with a key, random ones (DeepSpeed's random token selection), else first choices before second ones and
// then earlier rows before later ones. Returns how many were dropped.
int64_t drop_beyond(const at::Tensor& experts, int64_t capacity, std::optional<uint64_t> key);

}  // namespace megin::routing
