#include "text/catalogue.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <cctype>

#include "text/unicode.h"

namespace megin::text {
namespace {

// The character that ends before byte `i`, and the one that begins there; 0 at the ends of the text.
UChar32 character_before(std::string_view text, size_t i) {
  if (i == 0) return 0;
  auto at = static_cast<int32_t>(i);
  UChar32 c;
  U8_PREV_OR_FFFD(reinterpret_cast<const uint8_t*>(text.data()), 0, at, c);
  return c;
}

UChar32 character_at(std::string_view text, size_t i) {
  if (i >= text.size()) return 0;
  auto at = static_cast<int32_t>(i);
  const auto size = static_cast<int32_t>(text.size());
  UChar32 c;
  U8_NEXT_OR_FFFD(reinterpret_cast<const uint8_t*>(text.data()), at, size, c);
  return c;
}

bool is_word_byte(char c) {
  return (static_cast<unsigned char>(c) & 0x80) != 0 || std::isalnum(c) != 0;
}

// The letters and digits around the mark at `at`, and the mark.
std::string_view word_around(std::string_view text, size_t at) {
  size_t begin = at;
  size_t end = at + 1;
  while (begin > 0 && is_word_byte(text[begin - 1])) --begin;
  while (end < text.size() && is_word_byte(text[end])) ++end;
  return text.substr(begin, end - begin);
}

// "&amp;", "&#160;"
bool is_character_reference(std::string_view text, size_t at) {
  size_t end = at + 1;
  while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) != 0 || text[end] == '#'))
    ++end;
  return text[at] == '&' && end < text.size() && text[end] == ';';
}

bool has_word(std::string_view text, std::string_view word) {
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + 1)) {
    const size_t end = at + word.size();
    if ((at == 0 || !is_word_byte(text[at - 1])) && (end == text.size() || !is_word_byte(text[end])))
      return true;
  }
  return false;
}

bool is_accelerator(std::string_view side, std::string_view other, size_t at) {
  const UChar32 before = character_before(side, at);
  const UChar32 after = character_at(side, at + 1);
  if (!u_isalpha(after) || is_character_reference(side, at)) return false;
  if (!u_isalnum(before)) return true;
  // Inside a word: neither "R&D" or "MAX_SIZE", nor a name that the translation repeats ("use_cache").
  if (u_isupper(before) && u_isupper(after)) return false;
  return !has_word(other, word_around(side, at));
}

// "(_F)" and "(&F)", which languages without Latin letters append.
bool erase_bracketed_mark(std::string& side, std::string_view marks) {
  for (size_t at = side.find('('); at != std::string::npos; at = side.find('(', at + 1)) {
    if (at + 3 >= side.size() || side[at + 3] != ')') continue;
    if (marks.find(side[at + 1]) == std::string_view::npos) continue;
    if (std::isalnum(static_cast<unsigned char>(side[at + 2])) == 0) continue;
    const size_t begin = at > 0 && side[at - 1] == ' ' ? at - 1 : at;
    side.erase(begin, at + 4 - begin);
    return true;
  }
  return false;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  while (text.ends_with('\n')) text.remove_suffix(1);
  while (text.starts_with('\n')) text.remove_prefix(1);
  std::vector<std::string_view> lines;
  while (true) {
    const size_t end = text.find('\n');
    lines.push_back(text.substr(0, end));
    if (end == std::string_view::npos) return lines;
    text.remove_prefix(end + 1);
  }
}

// Whether the lines are sentences or items of their own, not one text that was wrapped.
bool are_separate(const std::vector<std::string_view>& lines) {
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    const std::string line = normalise_whitespace(lines[i]);
    const bool before_empty = normalise_whitespace(lines[i + 1]).empty();
    if (!line.empty() && !before_empty &&
        std::string_view(".:;!?").find(line.back()) == std::string_view::npos)
      return false;
  }
  return true;
}

// Without the "Context|" that glib's Q_() lets programmers write into a msgid and that translations leave
// out.
std::string_view without_inline_context(std::string_view source, std::string_view target) {
  const size_t bar = source.rfind('|');
  return bar == std::string_view::npos || target.find('|') != std::string_view::npos ? source
                                                                                     : source.substr(bar + 1);
}

void append_pair(const Pair& whole, const CatalogueOptions& options, std::deque<Pair>& pairs) {
  if (whole.source.empty() || whole.target.empty()) return;
  const auto sources = lines_of(whole.source);
  const auto targets = lines_of(whole.target);
  const bool split = options.split_lines && sources.size() == targets.size() && are_separate(sources) &&
                     are_separate(targets);
  const auto add = [&](std::string_view source, std::string_view target) {
    Pair pair = {normalise_whitespace(source), normalise_whitespace(target), whole.context, whole.line};
    if (pair.source.empty() && pair.target.empty()) return;
    const std::string stripped = strip_accelerator(pair.source, pair.target, options.accelerator_marks);
    pair.target = strip_accelerator(pair.target, pair.source, options.accelerator_marks);
    pair.source = stripped;
    pairs.push_back(std::move(pair));
  };
  if (!split || sources.size() == 1)
    return add(without_inline_context(whole.source, whole.target), whole.target);
  for (size_t i = 0; i < sources.size(); ++i) add(sources[i], targets[i]);
}

}  // namespace

std::string strip_accelerator(std::string_view side, std::string_view other, std::string_view marks) {
  std::string stripped(side);
  if (erase_bracketed_mark(stripped, marks)) return stripped;
  for (const char mark : marks) {
    const size_t at = stripped.find(mark);
    if (at == std::string::npos || stripped.find(mark, at + 1) != std::string::npos) continue;
    if (is_accelerator(stripped, other, at)) stripped.erase(at, 1);
  }
  return stripped;
}

void append_pairs(const CatalogueEntry& entry, const CatalogueOptions& options, std::deque<Pair>& pairs) {
  if (entry.translations.empty()) return;
  append_pair({entry.id, entry.translations[0], entry.context, entry.line}, options, pairs);
  if (!entry.plural_id.empty() && entry.translations.size() > 1)
    append_pair({entry.plural_id, entry.translations[1], entry.context, entry.line}, options, pairs);
}

std::string header_charset(std::string_view header) {
  constexpr std::string_view kName = "charset=";
  const size_t at = header.find(kName);
  if (at == std::string_view::npos) return "UTF-8";
  const std::string_view rest = header.substr(at + kName.size());
  const std::string_view charset = rest.substr(0, rest.find_first_of(" \t\r\n;"));
  return charset.empty() || charset == "CHARSET" ? "UTF-8" : std::string(charset);
}

bool is_utf8_charset(std::string_view charset) {
  std::string name;
  for (const char c : charset)
    if (std::isalnum(static_cast<unsigned char>(c)) != 0)
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name == "utf8" || name == "ascii" || name == "usascii";
}

}  // namespace megin::text
