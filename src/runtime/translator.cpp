#include "runtime/translator.h"

#include <algorithm>

#include "base/error.h"
#include "text/unicode.h"

namespace megin::runtime {
namespace {

constexpr size_t kWindowLines = 2000;

// Bytes that a byte-fallback vocabulary may spell but that would tear a line in two.
std::string on_one_line(std::string text) {
  std::ranges::replace_if(
      text, [](char c) { return c == '\n' || c == '\r'; }, ' ');
  return text;
}

LineEncoderOptions with_limit(LineEncoderOptions options, int64_t max_tokens) {
  options.max_tokens = max_tokens;
  return options;
}

}  // namespace

// A window on its way through the model: `line_of[i]` is the line that sources[i] stands for.
struct Translator::Window {
  std::vector<TranslatedLine> lines;
  std::vector<size_t> line_of;
  std::vector<search::Source> sources;
  std::vector<search::Tokens> prefixes;
  TranslationTotals& totals;
};

Translator::Translator(const Transformer& model, const text::SubwordModel& source,
                       const text::SubwordModel& target, TranslatorOptions options)
    : model_(model),
      target_(target),
      encoder_(source, with_limit(std::move(options.lines), model.config().max_length)),
      search_(std::move(options.search)) {
  search::check(search_.search, model_);
}

TranslationTotals Translator::translate(const LineSource& next, const LineSink& sink,
                                        const std::function<void()>& flush, ThreadPool& pool) const {
  TranslationTotals totals;
  std::vector<TranslationInput> lines;
  const auto finish_window = [&] {
    const uint64_t first = totals.lines;
    for (const TranslatedLine& line : translate_lines(lines, first, pool, totals)) sink(line);
    flush();
    lines.clear();
  };
  TranslationInput line;
  bool more_at_once = true;
  while (next(line, more_at_once)) {
    lines.push_back(std::move(line));
    line = {};
    if (lines.size() == kWindowLines || !more_at_once) finish_window();
  }
  if (!lines.empty()) finish_window();
  return totals;
}

std::vector<TranslatedLine> Translator::translate_lines(std::span<const TranslationInput> lines,
                                                        uint64_t first, ThreadPool& pool,
                                                        TranslationTotals& totals) const {
  Window window{.lines = {}, .line_of = {}, .sources = {}, .prefixes = {}, .totals = totals};
  for (size_t i = 0; i < lines.size(); ++i) add(lines[i], first + i, window);
  totals.lines += lines.size();
  const auto found = search_all(model_, window.sources, window.prefixes, search_, pool);
  for (size_t i = 0; i < found.size(); ++i) {
    TranslatedLine& line = window.lines[window.line_of[i]];
    for (const search::Hypothesis& hypothesis : found[i]) {
      line.translations.push_back({.text = on_one_line(target_.decode(hypothesis.tokens)),
                                   .score = hypothesis.score,
                                   .log_probability = hypothesis.log_probability,
                                   .tokens = static_cast<int64_t>(hypothesis.tokens.size())});
    }
    totals.source_tokens += window.sources[i].tokens.size();
    totals.target_tokens += found[i].front().tokens.size();
  }
  return std::move(window.lines);
}

void Translator::add(const TranslationInput& line, uint64_t number, Window& window) const {
  window.lines.push_back({.number = number, .translations = {}});
  search::Source source;
  switch (encoder_.encode(line.text, number, source)) {
    case Encoding::kEmpty:
      ++window.totals.empty;
      return;
    case Encoding::kSkipped:
      ++window.totals.skipped;
      return;
    case Encoding::kTruncated:
      ++window.totals.truncated;
      break;
    case Encoding::kWhole:
      break;
  }
  window.prefixes.push_back(encode_prefix(line, source));
  window.line_of.push_back(window.lines.size() - 1);
  window.sources.push_back(std::move(source));
}

search::Tokens Translator::encode_prefix(const TranslationInput& line, const search::Source& source) const {
  const uint64_t number = source.sentence + 1;
  if (!text::is_valid_utf8(line.prefix)) fail("prefix of line {}: wanted valid UTF-8", number);
  search::Tokens tokens = target_.encode(line.prefix);
  const int64_t most =
      search::length_limit(model_, static_cast<int64_t>(source.tokens.size()), search_.search);
  if (static_cast<int64_t>(tokens.size()) > most) {
    fail("prefix of line {}: wanted at most the {} tokens that its translation may have, found {}", number,
         most, tokens.size());
  }
  return tokens;
}

}  // namespace megin::runtime
