// How well a masked_lm restores a running text: the likelihood of the tokens that are masked in it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "runtime/masked_model.h"
#include "runtime/text_scorer.h"
#include "text/masking.h"

namespace megin::runtime {

struct MaskedScorerOptions {
  int64_t row_tokens = 0;       // tokens of a row, its begin mark included; 0: as many as the model reads
  int64_t batch_tokens = 4096;  // read side by side by a thread; sets memory and speed, never results
};

// Takes a text line by line, cuts it into rows and masks them as data/masked_stream.h does in its first
// epoch, and adds up the log-probabilities of the tokens asked for. Memory: some hundred rows. The same bits
// at any thread count and batch size. The model, the masking and the pool must outlive it.
class MaskedScorer {
 public:
  // Throws UsageError for rows that the model cannot read.
  MaskedScorer(const MaskedModel& model, const text::Masking& masking, const MaskedScorerOptions& options,
               ThreadPool& pool);

  // The next line, without its end mark. Scores what has come together when it is enough.
  void add(std::span<const int32_t> line);

  // Scores the rest; `tokens` of what it returns are those asked for. Call it once, last.
  TextScore finish();

 private:
  void score(bool last);

  const MaskedModel& model_;
  const text::Masking& masking_;
  size_t block_;         // tokens of a row behind its begin mark
  size_t rows_at_once_;  // of a batch
  ThreadPool& pool_;
  std::vector<int32_t> waiting_;
  uint64_t rows_ = 0;  // scored
  TextScore score_;
};

}  // namespace megin::runtime
