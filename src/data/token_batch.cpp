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

namespace {

std::vector<int32_t> select_rows(const std::vector<int32_t>& all, int64_t length,
                                 std::span<const int64_t> rows) {
  std::vector<int32_t> selected;
  selected.reserve(rows.size() * static_cast<size_t>(length));
  for (const int64_t row : rows) {
    selected.insert(selected.end(), all.begin() + row * length, all.begin() + (row + 1) * length);
  }
  return selected;
}

int64_t count_tokens(const std::vector<int32_t>& side) {
  return static_cast<int64_t>(side.size()) - std::ranges::count(side, text::kPadId);
}

}  // namespace

TokenBatch select_sentences(const TokenBatch& batch, std::span<const int64_t> rows) {
  TokenBatch selected;
  selected.sentences = static_cast<int64_t>(rows.size());
  selected.source_length = batch.source_length;
  selected.target_length = batch.target_length;
  selected.source = select_rows(batch.source, batch.source_length, rows);
  selected.target_input = select_rows(batch.target_input, batch.target_length, rows);
  selected.target_output = select_rows(batch.target_output, batch.target_length, rows);
  for (const int64_t row : rows) selected.sentence.push_back(batch.sentence[static_cast<size_t>(row)]);
  selected.source_tokens = count_tokens(selected.source);
  selected.target_tokens = count_tokens(selected.target_output);
  return selected;
}

}  // namespace megin::data
