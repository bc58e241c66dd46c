// A matrix of theirs that megin has with another tensor's first row added to each of its rows, and without
// its first ones: BERT's positions with the vector that says "first segment", RoBERTa's from the third on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::exchange {

struct Fold {
  int64_t skipped = 0;           // rows of theirs that ours is without
  int64_t columns = 0;           // of both
  std::span<const float> added;  // the row stands first in it; empty: none
};

// Ours: theirs from row `skipped` on, plus the row.
std::vector<float> fold_in(const Fold& fold, const std::vector<float>& theirs);

// Theirs: the numbers of `before`, the matrix that was folded in, wherever they give ours (a difference would
// be rounded), and otherwise ours less the row; skipped rows as they were.
std::vector<float> fold_out(const Fold& fold, const std::vector<float>& ours,
                            const std::vector<float>& before);

}  // namespace megin::exchange
