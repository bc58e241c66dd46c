#include "data/block_stream.h"

#include <algorithm>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"
#include "text/vocabulary.h"

namespace megin::data {

BlockStream::BlockStream(const ExampleSource& examples, const BlockStreamOptions& options)
    : examples_(examples), options_(options) {
  if (options_.block_tokens < 1)
    fail_usage("a block needs at least 1 token, found {}", options_.block_tokens);
  rows_ = std::max<int64_t>(1, options_.max_tokens / options_.block_tokens);
  starts_.reserve(static_cast<size_t>(examples.size()) + 1);
  starts_.push_back(0);
  for (int64_t i = 0; i < examples.size(); ++i) {
    const auto tokens = static_cast<int64_t>(examples.example(i).target.size());
    starts_.push_back(starts_.back() + tokens + (options_.end_marks ? 1 : 0));
  }
  if (tokens() == 0) fail("there is no text to cut into blocks: the set is empty");
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
    fill_row(batch.sentence[static_cast<size_t>(row)], row, batch);
  }
  if (++position_.batch == batches()) {
    position_ = {position_.epoch + 1, 0};
    order_blocks();
  }
  return batch;
}

void BlockStream::fill_row(int64_t block, int64_t row, TokenBatch& batch) const {
  const int64_t first = block * options_.block_tokens;
  const int64_t size = std::min(options_.block_tokens, tokens() - first);
  int32_t* const output = batch.target_output.data() + row * batch.target_length;
  int32_t* const input = batch.target_input.data() + row * batch.target_length;
  copy_tokens(first, size, output);
  *input = text::kEndId;
  if (block > 0) copy_tokens(first - 1, 1, input);
  std::copy_n(output, size - 1, input + 1);
}

void BlockStream::copy_tokens(int64_t first, int64_t count, int32_t* to) const {
  auto example = std::upper_bound(starts_.begin(), starts_.end(), first) - starts_.begin() - 1;
  while (count > 0) {
    const auto target = examples_.example(example).target;
    const auto skipped = static_cast<size_t>(first - starts_[static_cast<size_t>(example)]);
    const auto left = target.subspan(skipped);
    const int64_t taken = std::min(count, static_cast<int64_t>(left.size()));
    to = std::copy_n(left.begin(), taken, to);
    first += taken;
    count -= taken;
    if (options_.end_marks && count > 0) {
      *to++ = text::kEndId;
      ++first;
      --count;
    }
    ++example;
  }
}

}  // namespace megin::data
