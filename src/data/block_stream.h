// The batches of a language model: its text as one stream of tokens, cut into blocks of equal length.
#pragma once

#include <cstdint>
#include <vector>

#include "data/batch_stream.h"
#include "data/running_text.h"

namespace megin::data {

struct BlockStreamOptions {
  int64_t block_tokens = 128;  // tokens of a block
  int64_t max_tokens = 4096;   // of a batch: as many blocks as fit, at least one
  uint64_t seed = 1;           // of the order; unused without shuffle
  bool shuffle = true;         // off: the blocks in their order, for validation
  int64_t blocks = 0;          // only so many from the beginning; 0: all
  bool end_marks = true;       // behind each example; off: the examples are pieces of one sequence
};

// Block b of the text (running_text.h) is the tokens b * block_tokens and on; the last one is shorter. A
// block's input is its tokens shifted by one: it begins with the last token of the block before, and the
// first one with the end mark (fairseq's break mode none; stablemoe spec 3). So every token is predicted
// exactly once in an epoch, and nothing is added. Each epoch has its own order of the blocks.
//
// `sentence` of a row is the number of its block. A pure function of the examples, the options and the
// position. Memory: 8 bytes an example and 4 a block. Not for two threads at once. Keeps a reference to the
// source.
class BlockStream final : public BatchStream {
 public:
  // Throws Error when there are no tokens, or more than 2^32 - 1 blocks.
  BlockStream(const ExampleSource& examples, const BlockStreamOptions& options);

  TokenBatch next() override;
  StreamPosition position() const override { return position_; }
  void seek(StreamPosition position) override;
  int64_t batches() const override;

  int64_t tokens() const { return text_.tokens(); }  // of the whole text, end marks included
  int64_t blocks() const { return static_cast<int64_t>(order_.size()); }

 private:
  void order_blocks();

  RunningText text_;
  BlockStreamOptions options_;
  int64_t rows_ = 1;  // blocks of a batch
  StreamPosition position_;
  std::vector<uint32_t> order_;  // this epoch's order of the blocks
};

}  // namespace megin::data
