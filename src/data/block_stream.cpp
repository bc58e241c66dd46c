#include "data/block_stream.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "text/vocabulary.h"

namespace megin::data {

BlockStream::BlockStream(const ExampleSource& examples, const BlockStreamOptions& options)
    : text_(examples, options.end_marks), options_(options) {
  if (options_.block_tokens < 1)
    fail_usage("a block needs at least 1 token, found {}", options_.block_tokens);
  rows_ = std::max<int64_t>(1, options_.max_tokens / options_.block_tokens);
  int64_t blocks = (tokens() + options_.block_tokens - 1) / options_.block_tokens;
  if (options_.blocks > 0) blocks = std::min(blocks, options_.blocks);
  if (blocks >= std::numeric_limits<uint32_t>::max()) {
    fail("{} blocks are more than a stream can number; take longer blocks", blocks);
  }
  order_.resize(static_cast<size_t>(blocks));
  order_blocks();
}

int64_t BlockStream::batches() const {
  return (blocks() + rows_ - 1) / rows_;
}

void BlockStream::order_blocks() {
  std::iota(order_.begin(), order_.end(), 0);
  if (!options_.shuffle) return;
  shuffle(order_, draw_key(options_.seed, Purpose::kShuffle, {static_cast<uint64_t>(position_.epoch)}));
}

void BlockStream::seek(StreamPosition position) {
  require_position(position, batches());
  position_ = position;
  order_blocks();
}

TokenBatch BlockStream::next() {
  const int64_t first = position_.batch * rows_, last = std::min(first + rows_, blocks());
  TokenBatch batch;
  batch.sentences = last - first;
  batch.sentence.assign(order_.begin() + first, order_.begin() + last);
  for (const int64_t block : batch.sentence) {
    const int64_t size = std::min(options_.block_tokens, tokens() - block * options_.block_tokens);
    batch.target_length = std::max(batch.target_length, size);
    batch.target_tokens += size;
  }
  batch.target_input.assign(static_cast<size_t>(batch.sentences * batch.target_length), text::kPadId);
  batch.target_output = batch.target_input;
  for (int64_t row = 0; row < batch.sentences; ++row) {
    const int64_t first = batch.sentence[static_cast<size_t>(row)] * options_.block_tokens;
    text_.fill_row(first, std::min(options_.block_tokens, tokens() - first), row, batch);
  }
  if (++position_.batch == batches()) {
    position_ = {position_.epoch + 1, 0};
    order_blocks();
  }
  return batch;
}

}  // namespace megin::data
