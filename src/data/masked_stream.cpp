#include "data/masked_stream.h"

#include <algorithm>
#include <utility>

#include "text/vocabulary.h"

namespace megin::data {
namespace {

// As many rows of a batch as fit with their begin marks.
BlockStreamOptions block_options(const MaskedStreamOptions& options) {
  const int64_t block = options.row_tokens - 1;
  return {.block_tokens = block,
          .max_tokens = options.max_tokens / options.row_tokens * block,
          .seed = options.seed,
          .shuffle = options.shuffle,
          .blocks = options.rows,
          .end_marks = true};
}

}  // namespace

MaskedStream::MaskedStream(const ExampleSource& examples, const MaskedStreamOptions& options,
                           text::Masking masking)
    : blocks_(examples, block_options(options)), masking_(std::move(masking)) {}

TokenBatch MaskedStream::next() {
  const auto epoch = static_cast<uint64_t>(blocks_.position().epoch);
  const TokenBatch block = blocks_.next();
  TokenBatch batch;
  batch.sentences = block.sentences;
  batch.sentence = block.sentence;
  batch.source_length = batch.target_length = block.target_length + 1;
  batch.source_tokens = block.target_tokens + block.sentences;
  batch.source.assign(static_cast<size_t>(batch.sentences * batch.source_length), text::kPadId);
  batch.target_output = batch.source;
  const auto length = static_cast<size_t>(batch.source_length);
  for (size_t row = 0; row < static_cast<size_t>(batch.sentences); ++row) {
    const std::span<int32_t> seen = std::span(batch.source).subspan(row * length, length);
    seen[0] = text::kBeginId;
    std::copy_n(block.target_output.begin() + static_cast<std::ptrdiff_t>(row * (length - 1)), length - 1,
                seen.begin() + 1);
    batch.target_tokens += masking_.mask(epoch, static_cast<uint64_t>(batch.sentence[row]), seen,
                                         std::span(batch.target_output).subspan(row * length, length));
  }
  return batch;
}

}  // namespace megin::data
