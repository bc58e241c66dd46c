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

TokenBatch make_labelled_batch(const ExampleSource& examples, std::span<const int64_t> indices,
                               const SentenceReading& reading) {
  TokenBatch batch;
  batch.sentences = static_cast<int64_t>(indices.size());
  batch.sentence.assign(indices.begin(), indices.end());
  const auto most = static_cast<size_t>(std::max<int64_t>(0, reading.most - kSentenceMarks));
  const auto tokens_of = [&](const Example& example) {
    return example.target.first(std::min(example.target.size(), most));
  };
  int64_t longest = 0, tokens = 0;
  for (const int64_t index : indices) {
    const Example example = examples.example(index);
    const auto length = static_cast<int64_t>(tokens_of(example).size()) + kSentenceMarks;
    batch.labels.push_back(example.source[0]);
    longest = std::max(longest, length);
    tokens += length;
  }
  std::vector<int32_t> rows(static_cast<size_t>(batch.sentences * longest), text::kPadId);
  for (int64_t row = 0; row < batch.sentences; ++row) {
    const auto sentence = tokens_of(examples.example(indices[static_cast<size_t>(row)]));
    const auto to = rows.begin() + row * longest;
    *to = reading.masked ? text::kBeginId : text::kEndId;
    *std::copy(sentence.begin(), sentence.end(), to + 1) = text::kEndId;
  }
  (reading.masked ? batch.source : batch.target_input) = std::move(rows);
  (reading.masked ? batch.source_length : batch.target_length) = longest;
  batch.source_tokens = reading.masked ? tokens : 0;
  batch.target_tokens = reading.masked ? batch.sentences : tokens;
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
