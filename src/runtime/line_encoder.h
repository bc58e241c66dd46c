// A line of text as the tokens that a model reads: tag, subwords, end mark; and what happens to lines that do
// not fit.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "search/next_token_model.h"
#include "text/subword.h"

namespace megin::runtime {

// What to do with a line that has more tokens than the model can read.
enum class OnTooLong { kError, kTruncate, kSkip };
constexpr auto enum_names(OnTooLong) {
  return std::array<std::string_view, 3>{"error", "truncate", "skip"};
}

struct LineEncoderOptions {
  int64_t max_tokens = 1024;                  // end mark included
  OnTooLong on_too_long = OnTooLong::kError;  // the other two are told through `warn`
  std::string tag;                            // target-language tag put before each line; empty: none
  std::function<void(const std::string&)> warn = [](const std::string&) {};
};

enum class Encoding {
  kWhole,
  kTruncated,
  kSkipped,  // too long
  kEmpty,    // no tokens: white space only
};

// Const in use. The subword model must outlive it.
class LineEncoder {
 public:
  // Throws UsageError when the tag is none of the vocabulary.
  LineEncoder(const text::SubwordModel& subword, LineEncoderOptions options);

  // Fills `source` with line `number` (from 0) of the input, unless it is skipped or empty. Malformed UTF-8
  // is read as U+FFFD with a warning. Throws Error naming the line (from 1) when it is too long and nothing
  // else was chosen.
  Encoding encode(std::string_view line, uint64_t number, search::Source& source) const;

 private:
  Encoding fit(search::Source& source) const;

  const text::SubwordModel& subword_;
  LineEncoderOptions options_;
};

}  // namespace megin::runtime
