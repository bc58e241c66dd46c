#include "data/token_batch.h"

#include <algorithm>

#include "text/vocabulary.h"

namespace megin::data {

TokenBatch make_batch(const ExampleSource& examples, std::span<const int64_t> indices) {
  TokenBatch batch;
  batch.sentences = static_cast<int64_t>(indices.size());
  batch.sentence.assign(indices.begin(), indices.end());
  for (const int64_t index : indices) {
    const Example example = examples.example(index);
    const int64_t source = static_cast<int64_t>(example.source.size()) + 1;
    const int64_t target = static_cast<int64_t>(example.target.size()) + 1;
    batch.source_length = std::max(batch.source_length, source);
    batch.target_length = std::max(batch.target_length, target);
    batch.source_tokens += source;
    batch.target_tokens += target;
  }
  batch.source.assign(static_cast<size_t>(batch.sentences * batch.source_length), text::kPadId);
  batch.target_input.assign(static_cast<size_t>(batch.sentences * batch.target_length), text::kPadId);
  batch.target_output = batch.target_input;
  for (int64_t row = 0; row < batch.sentences; ++row) {
    const Example example = examples.example(indices[static_cast<size_t>(row)]);
    *std::copy(example.source.begin(), example.source.end(),
               batch.source.begin() + row * batch.source_length) = text::kEndId;
    const auto input = batch.target_input.begin() + row * batch.target_length;
    *input = text::kEndId;
    std::copy(example.target.begin(), example.target.end(), input + 1);
    *std::copy(example.target.begin(), example.target.end(),
               batch.target_output.begin() + row * batch.target_length) = text::kEndId;
  }
  return batch;
}

}  // namespace megin::data
