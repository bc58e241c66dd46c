#include "runtime/line_encoder.h"

#include "base/error.h"
#include "text/unicode.h"

namespace megin::runtime {

LineEncoder::LineEncoder(const text::SubwordModel& subword, LineEncoderOptions options)
    : subword_(subword), options_(std::move(options)) {
  if (!options_.tag.empty() && (!text::is_language_tag(options_.tag) || !subword_.id(options_.tag))) {
    fail_usage("tag: the model's vocabulary has no '{}'", options_.tag);
  }
}

Encoding LineEncoder::encode(std::string_view line, uint64_t number, search::Source& source) const {
  source.sentence = number;
  if (text::is_valid_utf8(line)) {
    source.tokens = subword_.encode(line);
  } else {
    source.tokens = subword_.encode(text::to_utf8(line, "UTF-8"));
    options_.warn(fmt::format("line {}: not valid UTF-8; malformed bytes are read as U+FFFD", number + 1));
  }
  if (source.tokens.empty()) return Encoding::kEmpty;
  if (!options_.tag.empty()) source.tokens.insert(source.tokens.begin(), *subword_.id(options_.tag));
  source.tokens.push_back(text::kEndId);
  return fit(source);
}

Encoding LineEncoder::fit(search::Source& source) const {
  const size_t most = static_cast<size_t>(options_.max_tokens);
  const size_t found = source.tokens.size();
  if (found <= most) return Encoding::kWhole;
  const uint64_t line = source.sentence + 1;
  switch (options_.on_too_long) {
    case OnTooLong::kError:
      fail(
          "line {}: wanted at most {} tokens, end mark included, found {}; split the line or take it out "
          "(megin translate also cuts off or skips such lines, by --on-too-long)",
          line, most, found);
    case OnTooLong::kSkip:
      options_.warn(fmt::format("line {}: {} tokens, more than the {} the model can read; left empty", line,
                                found, most));
      return Encoding::kSkipped;
    case OnTooLong::kTruncate:
      options_.warn(fmt::format(
          "line {}: {} tokens, more than the {} the model can read; the rest is cut off", line, found, most));
      source.tokens.resize(most - 1);
      source.tokens.push_back(text::kEndId);
      return Encoding::kTruncated;
  }
  __builtin_unreachable();
}

}  // namespace megin::runtime
