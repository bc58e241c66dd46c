// A batch ready for a model: sentence pairs as three padded matrices, blocks of a running text as two, or
// sentences with their classes as one, in plain memory.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/example_set.h"

namespace megin::data {

// Row-major, one row a sentence, padded on the right with text::kPadId. A plain value.
// Of blocks of a text the source is empty, and the target continues in `target_input` what stands before the
// block: no marks are added. Of a text whose tokens are to be restored the target has the source's columns:
// see masked_stream.h. Of sentences to classify there are one side's input and their labels.
struct TokenBatch {
  int64_t sentences = 0;               // or blocks
  int64_t source_length = 0;           // columns of `source`: the longest source with its end mark
  int64_t target_length = 0;           // columns of both target matrices: the longest target and its mark
  std::vector<int32_t> source;         // [sentences, source_length], tokens + kEndId
  std::vector<int32_t> target_input;   // [sentences, target_length], kEndId + tokens
  std::vector<int32_t> target_output;  // [sentences, target_length], tokens + kEndId
  std::vector<int64_t> sentence;       // [sentences], index of each example in its set
  int64_t source_tokens = 0;           // not padding, end marks included
  int64_t target_tokens = 0;           // the same of target_output; with labels see make_labelled_batch()
  std::vector<int32_t> labels = {};    // [sentences], the class of each; empty: nothing is classified
  int64_t first_position = 0;  // of the first column; not 0: rows go on where those of the batch before
                               // ended, of which they are the first so many

  // What a sum of losses is divided by: the tokens, or sentences, that are predicted.
  int64_t predictions() const { return labels.empty() ? target_tokens : sentences; }

  bool operator==(const TokenBatch&) const = default;
};

// The batch of these pairs, in this order. Every index is in [0, examples.size()).
TokenBatch make_batch(const ExampleSource& examples, std::span<const int64_t> indices);

// How a classifier reads a sentence: a mark, its tokens and an end mark.
struct SentenceReading {
  int64_t most = 0;     // tokens, marks included; of longer sentences the first ones; 0: none are classified
  bool masked = false;  // by a masked_lm: it stands in the source behind a begin mark, else in the target's
                        // input behind an end mark, as texts begin
};
inline constexpr int64_t kSentenceMarks = 2;

// The batch of these sentences, whose source in `examples` is their class (one number) and whose target their
// tokens. Tokens of the side that is read are counted, as target tokens of a masked_lm the classes.
TokenBatch make_labelled_batch(const ExampleSource& examples, std::span<const int64_t> indices,
                               const SentenceReading& reading);

// The sentences `rows` of a batch, in this order, with the padding that they had.
TokenBatch select_sentences(const TokenBatch& batch, std::span<const int64_t> rows);

}  // namespace megin::data
