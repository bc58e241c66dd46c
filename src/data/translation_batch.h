// A batch of sentence pairs, ready for a model: three padded matrices in plain memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/example_set.h"

namespace megin::data {

// Row-major, one row a sentence, padded on the right with text::kPadId. A plain value.
struct TranslationBatch {
  int64_t sentences = 0;
  int64_t source_length = 0;           // columns of `source`: the longest source with its end mark
  int64_t target_length = 0;           // columns of both target matrices: the longest target and its mark
  std::vector<int32_t> source;         // [sentences, source_length], tokens + kEndId
  std::vector<int32_t> target_input;   // [sentences, target_length], kEndId + tokens
  std::vector<int32_t> target_output;  // [sentences, target_length], tokens + kEndId
  std::vector<int64_t> sentence;       // [sentences], index of each example in its set
  int64_t source_tokens = 0;           // not padding, end marks included
  int64_t target_tokens = 0;           // the same of target_output: what a loss is divided by

  bool operator==(const TranslationBatch&) const = default;
};

// The batch of these examples, in this order. Every index is in [0, examples.size()).
TranslationBatch make_batch(const ExampleSource& examples, std::span<const int64_t> indices);

}  // namespace megin::data
