#include "text/unicode.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/normalizer2.h>
#include <unicode/stringpiece.h>
#include <unicode/uchar.h>
#include <unicode/ucnv.h>
#include <unicode/uscript.h>
#include <unicode/utf8.h>

#include "base/error.h"
#include "base/files.h"

namespace megin::text {
namespace {

// Calls `use(code point, start, length)` for each character; malformed bytes come as U+FFFD.
template <typename Use>
void for_each_character(std::string_view text, Use use) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t i = 0; i < size;) {
    const int64_t start = i;
    UChar32 c;
    U8_NEXT_OR_FFFD(bytes, i, size, c);
    use(c, static_cast<size_t>(start), static_cast<size_t>(i - start));
  }
}

bool is_space(UChar32 c) {
  if (c < 0x80) return c <= 0x20 || c == 0x7F;
  return c == 0xFEFF || c == 0x85 || u_isUWhiteSpace(c) || u_charType(c) == U_CONTROL_CHAR;
}

// How a script's characters weigh in count_words and count_letters.
struct Weight {
  unsigned characters_a_word;  // 0: words are between spaces
  unsigned letters;
};

Weight weight_of(UChar32 c) {
  if (c < 0x0E00) return {0, 1};
  UErrorCode status = U_ZERO_ERROR;
  switch (uscript_getScript(c, &status)) {
    case USCRIPT_HAN:
      return {2, 3};
    case USCRIPT_HIRAGANA:
    case USCRIPT_KATAKANA:
      return {2, 2};
    case USCRIPT_HANGUL:
      return {0, 2};
    case USCRIPT_THAI:
    case USCRIPT_LAO:
    case USCRIPT_KHMER:
    case USCRIPT_MYANMAR:
      return {4, 1};
    default:
      return {0, 1};
  }
}

}  // namespace

bool is_valid_utf8(std::string_view text) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(text.data());
  const auto size = static_cast<int64_t>(text.size());
  for (int64_t i = 0; i < size;) {
    if (bytes[i] < 0x80) {
      ++i;
      continue;
    }
    UChar32 c;
    U8_NEXT(bytes, i, size, c);
    if (c < 0) return false;
  }
  return true;
}

std::string normalise_whitespace(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool gap = false;
  for_each_character(text, [&](UChar32 c, size_t start, size_t length) {
    if (is_space(c)) {
      gap = !out.empty();
      return;
    }
    if (gap) out += ' ';
    gap = false;
    out.append(text, start, length);
  });
  return out;
}

std::string normalised(std::string_view text, NormalForm form) {
  UErrorCode status = U_ZERO_ERROR;
  const icu::Normalizer2* const rules = form == NormalForm::kComposed
                                            ? icu::Normalizer2::getNFCInstance(status)
                                            : icu::Normalizer2::getNFDInstance(status);
  std::string result;
  icu::StringByteSink<std::string> sink(&result);
  const icu::StringPiece piece(text.data(), static_cast<int32_t>(text.size()));
  if (U_SUCCESS(status)) rules->normalizeUTF8(0, piece, sink, nullptr, status);
  if (U_FAILURE(status)) fail("cannot normalise Unicode text: {}", u_errorName(status));
  return result;
}

std::string lower_case(std::string_view text) {
  std::string out;
  icu::StringByteSink<std::string> sink(&out, static_cast<int32_t>(text.size()));
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                            nullptr, status);
  if (U_FAILURE(status)) fail("cannot lower-case a text of {} bytes: {}", text.size(), u_errorName(status));
  return out;
}

size_t count_words(std::string_view text) {
  size_t words = 0;
  unsigned unspaced = 0;  // characters of the current run that make `per_word` to a word
  unsigned per_word = 0;
  bool in_word = false;
  const auto end_unspaced = [&] {
    if (per_word > 0) words += (unspaced + per_word - 1) / per_word;
    unspaced = per_word = 0;
  };
  for_each_character(text, [&](UChar32 c, size_t, size_t) {
    if (is_space(c)) {
      end_unspaced();
      in_word = false;
      return;
    }
    const unsigned width = weight_of(c).characters_a_word;
    if (width != per_word) end_unspaced();
    if (width > 0) {
      per_word = width;
      ++unspaced;
      // Punctuation that follows belongs to this run and is no word of its own.
      in_word = true;
    } else if (!in_word) {
      ++words;
      in_word = true;
    }
  });
  end_unspaced();
  return words;
}

uint64_t count_words_and_ends(std::span<const std::string> lines) {
  uint64_t words = lines.size();
  for (const std::string& line : lines) words += count_words(line);
  return words;
}

size_t count_letters(std::string_view text) {
  size_t letters = 0;
  for_each_character(text, [&](UChar32 c, size_t, size_t) { letters += weight_of(c).letters; });
  return letters;
}

bool has_letter(std::string_view text) {
  bool found = false;
  for_each_character(text, [&](UChar32 c, size_t, size_t) { found = found || u_isalpha(c) != 0; });
  return found;
}

uint64_t sentence_key(std::string_view text) {
  return checksum(lower_case(normalise_whitespace(text)));
}

std::string to_utf8(std::string_view bytes, const std::string& charset) {
  UErrorCode status = U_ZERO_ERROR;
  const auto size = static_cast<int32_t>(bytes.size());
  const int32_t needed = ucnv_convert("UTF-8", charset.c_str(), nullptr, 0, bytes.data(), size, &status);
  if (U_FAILURE(status) && status != U_BUFFER_OVERFLOW_ERROR)
    fail("cannot read the character set '{}': {}; convert the text to UTF-8", charset, u_errorName(status));
  std::string out(static_cast<size_t>(needed) + 1, '\0');
  status = U_ZERO_ERROR;
  ucnv_convert("UTF-8", charset.c_str(), out.data(), needed + 1, bytes.data(), size, &status);
  if (U_FAILURE(status)) fail("cannot convert from the character set '{}': {}", charset, u_errorName(status));
  out.resize(static_cast<size_t>(needed));
  return out;
}

}  // namespace megin::text
