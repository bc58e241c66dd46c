// How likely a causal_lm finds a running text: every token predicted once, in the blocks that it was trained
// on.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "config/model_config.h"
#include "runtime/batched_search.h"

namespace megin::runtime {

struct TextScore {
  double log_probability = 0;  // natural logarithm, of the whole text
  uint64_t tokens = 0;         // end marks included
};

// Tokens of the blocks that a model is measured on: as many as it reads, or the parts of a text that a model
// with relative positions goes through from an empty memory on.
int64_t block_of(const config::ModelConfig& config);

// Takes a text line by line and scores it in blocks of `block_tokens`, as data/block_stream.h cuts it: a
// block is begun by the last token of the one before. Memory: some hundred blocks. The same bits at any
// thread count. The model and the pool must outlive it.
class TextScorer {
 public:
  // Throws UsageError for blocks that the model cannot read.
  TextScorer(const search::NextTokenModel& model, int64_t block_tokens, const BatchedSearch& options,
             ThreadPool& pool);

  // The next line, without its end mark. Scores what has come together when it is enough.
  void add(std::span<const int32_t> line);

  // The next piece of a text without end marks, as one of bytes is.
  void add_piece(std::span<const int32_t> piece);

  // Scores the rest. Call it once, last.
  TextScore finish();

 private:
  void score(bool last);

  const search::NextTokenModel& model_;
  size_t block_;
  BatchedSearch options_;
  ThreadPool& pool_;
  std::vector<int32_t> waiting_;
  int32_t before_;  // the token before the waiting ones
  uint64_t blocks_ = 0;
  TextScore score_;
};

}  // namespace megin::runtime
