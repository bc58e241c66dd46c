// Text in, text out: lines are read in windows, encoded, decoded in batches on a pool of threads, and handed
// out in their order. Every input line gives exactly one result, an empty one an empty result without calling
// the model. A line's result is the same bytes at any batch size, thread count and window.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "runtime/batched_search.h"
#include "runtime/line_encoder.h"
#include "runtime/transformer.h"
#include "text/subword.h"

namespace megin::runtime {

struct TranslatorOptions {
  BatchedSearch search;
  LineEncoderOptions lines;  // max_tokens is taken from the model
};

// A line to translate.
struct TranslationInput {
  std::string text;
  std::string prefix;  // what its translation must begin with; empty: nothing
};

struct Translation {
  std::string text;            // one line: line ends that the model may produce become spaces
  double score = 0;            // after the length penalty
  double log_probability = 0;  // natural logarithm
  int64_t tokens = 0;          // end mark included
};

struct TranslatedLine {
  uint64_t number = 0;                    // from 0
  std::vector<Translation> translations;  // best first; empty for an empty or skipped line
};

// Gives the next line, or false at the end. `more_at_once` is set to whether another line can be had without
// waiting: if not, a window ends early, so that a person typing gets an answer to each line.
using LineSource = std::function<bool(TranslationInput& line, bool& more_at_once)>;
using LineSink = std::function<void(const TranslatedLine& line)>;

struct TranslationTotals {
  uint64_t lines = 0;
  uint64_t empty = 0, truncated = 0, skipped = 0;  // of the lines
  uint64_t source_tokens = 0;                      // end marks included, as the model read them
  uint64_t target_tokens = 0;                      // of the best translations
};

// Const in use. The model, the subword models and the pool must outlive it.
class Translator {
 public:
  // Throws UsageError when the options cannot be, or the tag is none of the source vocabulary.
  Translator(const Transformer& model, const text::SubwordModel& source, const text::SubwordModel& target,
             TranslatorOptions options);

  // Translates a whole stream. Memory is that of a window: at most 2,000 lines. After each window `flush` is
  // called. Throws Error naming the line (from 1) that is too long, unless another way was chosen.
  TranslationTotals translate(const LineSource& next, const LineSink& sink,
                              const std::function<void()>& flush, ThreadPool& pool) const;

  // One window: inputs are lines first, first + 1 ... of the input. Adds to `totals`.
  std::vector<TranslatedLine> translate_lines(std::span<const TranslationInput> lines, uint64_t first,
                                              ThreadPool& pool, TranslationTotals& totals) const;

 private:
  struct Window;
  void add(const TranslationInput& line, uint64_t number, Window& window) const;
  search::Tokens encode_prefix(const TranslationInput& line, const search::Source& source) const;

  const Transformer& model_;
  const text::SubwordModel& target_;
  LineEncoder encoder_;
  BatchedSearch search_;
};

}  // namespace megin::runtime
