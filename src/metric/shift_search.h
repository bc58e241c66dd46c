// The search behind TER: edits plus shifts of word blocks, found greedily as Tercom does.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace megin::metric {

// The number of edits that turn `hypothesis` into `reference` (words as numbers; equal words, equal numbers):
// shifts that Tercom's search finds, plus insertions, deletions and substitutions afterwards. Equal to
// sacreBLEU to the last edit, with all its limits: blocks of at most 10 words, moved between places at most
// 50 apart, a beam of 25 around the diagonal, and an end of the search at 1,000 candidate shifts. An empty
// reference costs one edit for each word. Memory grows with the lengths, not with their product.
size_t edits_with_shifts(std::span<const uint32_t> hypothesis, std::span<const uint32_t> reference);

}  // namespace megin::metric
