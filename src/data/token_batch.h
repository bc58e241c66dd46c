// A batch ready for a model: sentence pairs as three padded matrices, or blocks of a running text as two, in
// plain memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/example_set.h"

namespace megin::data {

// Row-major, one row a sentence, padded on the right with text::kPadId. A plain value.
// Of blocks of a text the source is empty, and the target continues in `target_input` what stands before the
// block: no marks are added. Of a text whose tokens are to be restored the target has the source's columns:
// see masked_stream.h.
struct TokenBatch {
  int64_t sentences = 0;               // or blocks
  int64_t source_length = 0;           // columns of `source`: the longest source with its end mark
  int64_t target_length = 0;           // columns of both target matrices: the longest target and its mark
  std::vector<int32_t> source;         // [sentences, source_length], tokens + kEndId
  std::vector<int32_t> target_input;   // [sentences, target_length], kEndId + tokens
  std::vector<int32_t> target_output;  // [sentences, target_length], tokens + kEndId
  std::vector<int64_t> sentence;       // [sentences], index of each example in its set
  int64_t source_tokens = 0;           // not padding, end marks included
  int64_t target_tokens = 0;           // the same of target_output: what a loss is divided by
  int64_t first_position = 0;  // of the first column; not 0: rows go on where those of the batch before
                               // ended, of which they are the first so many

  bool operator==(const TokenBatch&) const = default;
};

// The batch of these pairs, in this order. Every index is in [0, examples.size()).
TokenBatch make_batch(const ExampleSource& examples, std::span<const int64_t> indices);

// The sentences `rows` of a batch, in this order, with the padding that they had.
TokenBatch select_sentences(const TokenBatch& batch, std::span<const int64_t> rows);

}  // namespace megin::data
