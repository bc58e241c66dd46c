#include "metric/python_text.h"

#include <unicode/bytestream.h>
#include <unicode/casemap.h>
#include <unicode/utf8.h>

#include <algorithm>

#include "base/error.h"

namespace megin::metric {
namespace {

const uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

}  // namespace

size_t first_invalid_byte(std::string_view text) {
  const uint8_t* bytes = bytes_of(text);
  size_t at = 0;
  while (at < text.size()) {
    const size_t start = at;
    UChar32 c = 0;
    U8_NEXT(bytes, at, text.size(), c);
    if (c < 0) return start;
  }
  return std::string_view::npos;
}

std::u32string code_points(std::string_view text) {
  std::u32string points;
  points.reserve(text.size());
  const uint8_t* bytes = bytes_of(text);
  for (size_t at = 0; at < text.size();) {
    UChar32 c = 0;
    U8_NEXT_UNSAFE(bytes, at, c);
    points.push_back(static_cast<char32_t>(c));
  }
  return points;
}

bool is_python_space(char32_t c) {
  if (c < 0x80) return c == ' ' || (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x1F);
  if (c < 0x1680) return c == 0x85 || c == 0xA0;
  return c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F ||
         c == 0x205F || c == 0x3000;
}

std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> pieces;
  const uint8_t* bytes = bytes_of(text);
  size_t piece = 0;
  size_t at = 0;
  while (at < text.size()) {
    const size_t start = at;
    UChar32 c = 0;
    U8_NEXT_UNSAFE(bytes, at, c);
    if (!is_python_space(static_cast<char32_t>(c))) continue;
    if (start > piece) pieces.push_back(text.substr(piece, start - piece));
    piece = at;
  }
  if (text.size() > piece) pieces.push_back(text.substr(piece));
  return pieces;
}

std::string_view strip_right(std::string_view text) {
  const uint8_t* bytes = bytes_of(text);
  size_t end = text.size();
  while (end > 0) {
    size_t at = end;
    UChar32 c = 0;
    U8_PREV_UNSAFE(bytes, at, c);
    if (!is_python_space(static_cast<char32_t>(c))) break;
    end = at;
  }
  return text.substr(0, end);
}

std::string lower(std::string_view text) {
  std::string result;
  if (is_ascii(text)) {
    result = text;
    for (char& c : result) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    }
    return result;
  }
  icu::StringByteSink<std::string> sink(&result, static_cast<int32_t>(text.size()));
  UErrorCode status = U_ZERO_ERROR;
  icu::CaseMap::utf8ToLower("", 0, icu::StringPiece(text.data(), static_cast<int32_t>(text.size())), sink,
                            nullptr, status);
  if (U_FAILURE(status)) fail("cannot lower-case a line of {} bytes: {}", text.size(), u_errorName(status));
  return result;
}

}  // namespace megin::metric
