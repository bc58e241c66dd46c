#include "metric/tokenizer.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <array>
#include <utility>

#include "base/error.h"
#include "metric/python_text.h"

namespace megin::metric {
namespace {

constexpr std::array kTokenizations = {Tokenization::k13a, Tokenization::kNone, Tokenization::kIntl,
                                       Tokenization::kChar};

void replace_all(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

bool is_digit(char c) {
  return c >= '0' && c <= '9';
}
bool is_period_or_comma(char c) {
  return c == '.' || c == ',';
}

// ASCII punctuation and the space, without the apostrophe, comma, hyphen and period.
bool is_13a_separate(char c) {
  const auto in = [c](char first, char last) { return c >= first && c <= last; };
  return in('{', '~') || in('[', '`') || in(' ', '&') || in('(', '+') || in(':', '@') || c == '/';
}

// The rules of mteval-v13a are regular expressions applied one after the other. Each function below is one of
// them; a match consumes its characters, so that the next one begins behind it. They may work on bytes,
// because every character they name is ASCII.

// ([\{-\~\[-\` -\&\(-\+\:-\@\/]) -> " \1 "
std::string separate_punctuation(std::string_view line) {
  std::string out;
  out.reserve(2 * line.size());
  for (const char c : line) {
    if (is_13a_separate(c)) {
      out += {' ', c, ' '};
    } else {
      out += c;
    }
  }
  return out;
}

// A match of two neighbouring characters for which `matches` holds becomes before + first + between + second
// + after.
struct PairRule {
  bool (*matches)(char, char);
  std::string_view before, between, after;
};

std::string apply_rule(const PairRule& rule, std::string_view line) {
  std::string out;
  out.reserve(line.size() + line.size() / 2);
  for (size_t i = 0; i < line.size(); ++i) {
    if (i + 1 < line.size() && rule.matches(line[i], line[i + 1])) {
      out += rule.before;
      out += line[i];
      out += rule.between;
      out += line[i + 1];
      out += rule.after;
      ++i;
    } else {
      out += line[i];
    }
  }
  return out;
}

constexpr std::array kPairRules13a = {
    // A period or comma unless a digit stands before it: ([^0-9])([\.,]) -> "\1 \2 "
    PairRule{[](char a, char b) { return !is_digit(a) && is_period_or_comma(b); }, "", " ", " "},
    // ... unless a digit stands behind it: ([\.,])([^0-9]) -> " \1 \2"
    PairRule{[](char a, char b) { return is_period_or_comma(a) && !is_digit(b); }, " ", " ", ""},
    // A dash behind a digit: ([0-9])(-) -> "\1 \2 "
    PairRule{[](char a, char b) { return is_digit(a) && b == '-'; }, "", " ", " "},
};

std::string tokenize_13a(std::string_view line) {
  std::string text(line);
  replace_all(text, "<skipped>", "");
  replace_all(text, "-\n", "");
  replace_all(text, "\n", " ");
  replace_all(text, "&quot;", "\"");
  replace_all(text, "&amp;", "&");
  replace_all(text, "&lt;", "<");
  replace_all(text, "&gt;", ">");
  text = separate_punctuation(" " + text + " ");
  for (const PairRule& rule : kPairRules13a) text = apply_rule(rule, text);
  return text;
}

bool is_number(char32_t c) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_N_MASK) != 0;
}
bool is_punctuation(char32_t c) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_P_MASK) != 0;
}
bool is_symbol(char32_t c) {
  return (U_GET_GC_MASK(static_cast<UChar32>(c)) & U_GC_S_MASK) != 0;
}

// (\P{N})(\p{P}) -> "\1 \2 ", then (\p{P})(\P{N}) -> " \1 \2"
std::u32string separate_intl_punctuation(const std::u32string& line) {
  std::u32string first;
  for (size_t i = 0; i < line.size(); ++i) {
    first += line[i];
    if (i + 1 < line.size() && !is_number(line[i]) && is_punctuation(line[i + 1])) {
      first += {U' ', line[i + 1], U' '};
      ++i;
    }
  }
  std::u32string second;
  for (size_t i = 0; i < first.size(); ++i) {
    if (i + 1 < first.size() && is_punctuation(first[i]) && !is_number(first[i + 1])) {
      second += {U' ', first[i], U' ', first[i + 1]};
      ++i;
    } else {
      second += first[i];
    }
  }
  return second;
}

void append_utf8(std::string& out, char32_t c) {
  std::array<char, U8_MAX_LENGTH> bytes{};
  size_t length = 0;
  U8_APPEND_UNSAFE(bytes.data(), length, static_cast<UChar32>(c));
  out.append(bytes.data(), length);
}

std::string tokenize_intl(std::string_view line) {
  std::string out;
  out.reserve(2 * line.size());
  for (const char32_t c : separate_intl_punctuation(code_points(line))) {
    const bool symbol = is_symbol(c);
    if (symbol) out += ' ';
    append_utf8(out, c);
    if (symbol) out += ' ';
  }
  return out;
}

std::string tokenize_char(std::string_view line) {
  std::string out;
  out.reserve(2 * line.size());
  for (const char32_t c : code_points(line)) {
    append_utf8(out, c);
    out += ' ';
  }
  return out;
}

}  // namespace

std::string_view name_of(Tokenization tokenization) {
  switch (tokenization) {
    case Tokenization::k13a:
      return "13a";
    case Tokenization::kNone:
      return "none";
    case Tokenization::kIntl:
      return "intl";
    case Tokenization::kChar:
      return "char";
  }
  return {};
}

Tokenization tokenization_named(std::string_view name) {
  for (const Tokenization tokenization : kTokenizations) {
    if (name_of(tokenization) == name) return tokenization;
  }
  fail_usage("wanted a tokenizer out of 13a, none, intl, char; found '{}'", name);
}

std::string tokenize(Tokenization tokenization, std::string_view line) {
  switch (tokenization) {
    case Tokenization::k13a:
      return tokenize_13a(line);
    case Tokenization::kNone:
      return std::string(line);
    case Tokenization::kIntl:
      return tokenize_intl(line);
    case Tokenization::kChar:
      return tokenize_char(line);
  }
  return {};
}

}  // namespace megin::metric
