// Which sentences are decoded together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::search {

// Batches of indices into `lengths` (tokens of each sentence), sentences of like length together, longest
// first: longest * count of a batch is at most `token_budget`, but a sentence longer than that makes a batch
// of its own. Each index stands in one batch, so results[index] = ... restores the input's order. Pure; ties
// keep the input's order.
std::vector<std::vector<size_t>> plan_batches(std::span<const int64_t> lengths, int64_t token_budget);

}  // namespace megin::search
