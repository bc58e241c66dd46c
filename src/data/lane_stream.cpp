#include "data/lane_stream.h"

#include <algorithm>

#include "base/error.h"
#include "text/vocabulary.h"

namespace megin::data {
namespace {

int64_t divide_up(int64_t a, int64_t b) {
  return (a + b - 1) / b;
}

}  // namespace

LaneStream::LaneStream(const ExampleSource& examples, const LaneStreamOptions& options)
    : text_(examples, options.end_marks), options_(options), tokens_(text_.tokens()) {
  if (options_.block_tokens < 1) {
    fail_usage("a segment needs at least 1 token, found {}", options_.block_tokens);
  }
  if (options_.tokens > 0) tokens_ = std::min(tokens_, options_.tokens);
  rows_ = std::max<int64_t>(1, options_.max_tokens / options_.block_tokens);
  if (options_.lane_tokens == 0) options_.lane_tokens = divide_up(tokens_, rows_);
  rows_ = std::min(rows_, lanes());
}

int64_t LaneStream::size_of_lane(int64_t lane) const {
  return std::min(options_.lane_tokens, tokens_ - lane * options_.lane_tokens);
}

int64_t LaneStream::segments_of(int64_t lane) const {
  return divide_up(size_of_lane(lane), options_.block_tokens);
}

int64_t LaneStream::batches() const {
  const int64_t last_group = (lanes() - 1) / rows_;
  return last_group * segments_of(0) + segments_of(last_group * rows_);
}

void LaneStream::seek(StreamPosition position) {
  require_position(position, batches());
  position_ = position;
}

TokenBatch LaneStream::next() {
  const int64_t segments = segments_of(0);
  const int64_t first_lane = position_.batch / segments * rows_;
  TokenBatch batch;
  batch.first_position = position_.batch % segments * options_.block_tokens;
  for (int64_t lane = first_lane; lane < std::min(first_lane + rows_, lanes()); ++lane) {
    const int64_t size = std::min(options_.block_tokens, size_of_lane(lane) - batch.first_position);
    if (size <= 0) break;
    batch.sentence.push_back(lane);
    batch.target_length = std::max(batch.target_length, size);
    batch.target_tokens += size;
  }
  batch.sentences = static_cast<int64_t>(batch.sentence.size());
  batch.target_input.assign(static_cast<size_t>(batch.sentences * batch.target_length), text::kPadId);
  batch.target_output = batch.target_input;
  for (int64_t row = 0; row < batch.sentences; ++row) {
    const int64_t lane = first_lane + row;
    const int64_t size = std::min(options_.block_tokens, size_of_lane(lane) - batch.first_position);
    text_.fill_row(lane * options_.lane_tokens + batch.first_position, size, row, batch);
  }
  if (++position_.batch == batches()) position_ = {position_.epoch + 1, 0};
  return batch;
}

}  // namespace megin::data
