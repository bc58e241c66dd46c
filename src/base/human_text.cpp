#include "base/human_text.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace megin {
namespace {

struct Character {
  char32_t code;  // U+FFFD for a broken byte
  size_t bytes;
};

// The first character of non-empty UTF-8 text. Overlong forms and surrogates need no care here: only the
// width is asked.
Character first_character(std::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < length) return {0xFFFD, 1};
  char32_t code = lead & (0x7Fu >> length);
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {0xFFFD, 1};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  return {code, length};
}

struct CodeRange {
  char32_t first, last;
};

// Combining marks and other characters without a width, in the scripts that tables of ours meet.
constexpr std::array<CodeRange, 16> kZeroWidth{{{0x0300, 0x036F},
                                                {0x0483, 0x0489},
                                                {0x0591, 0x05BD},
                                                {0x0610, 0x061A},
                                                {0x064B, 0x065F},
                                                {0x06D6, 0x06DC},
                                                {0x0900, 0x0902},
                                                {0x093C, 0x093C},
                                                {0x0941, 0x0948},
                                                {0x0E31, 0x0E31},
                                                {0x0E34, 0x0E3A},
                                                {0x0E47, 0x0E4E},
                                                {0x1AB0, 0x1AFF},
                                                {0x200B, 0x200F},
                                                {0x20D0, 0x20FF},
                                                {0xFE00, 0xFE0F}}};

// East Asian wide and full-width characters, and emoji.
constexpr std::array<CodeRange, 9> kDoubleWidth{{{0x1100, 0x115F},
                                                 {0x2E80, 0x303E},
                                                 {0x3041, 0xA4CF},
                                                 {0xAC00, 0xD7A3},
                                                 {0xF900, 0xFAFF},
                                                 {0xFE30, 0xFE6F},
                                                 {0xFF00, 0xFF60},
                                                 {0x1F300, 0x1FAFF},
                                                 {0x20000, 0x3FFFD}}};

template <size_t n>
bool is_in(const std::array<CodeRange, n>& ranges, char32_t code) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [code](CodeRange range) { return range.first <= code && code <= range.last; });
}

int64_t width_of(char32_t code) {
  if (code < 0x20 || code == 0x7F) return 0;
  if (code < 0x0300) return 1;
  if (is_in(kZeroWidth, code)) return 0;
  return is_in(kDoubleWidth, code) ? 2 : 1;
}

}  // namespace

std::string grouped(int64_t number) {
  std::string digits = fmt::format("{}", number);
  const size_t first = number < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string human_duration(double seconds) {
  // Beyond a century nobody waits, and the cast would overflow.
  const auto whole = static_cast<int64_t>(std::clamp(seconds, 0.0, 3.2e9));
  const int64_t days = whole / 86400, hours = whole / 3600 % 24, minutes = whole / 60 % 60, rest = whole % 60;
  if (days > 0) return fmt::format("{} d {}:{:02}:{:02}", days, hours, minutes, rest);
  if (hours > 0) return fmt::format("{}:{:02}:{:02}", hours, minutes, rest);
  return fmt::format("{}:{:02}", minutes, rest);
}

std::string human_bytes(int64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits{"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
  if (bytes < 1024) return fmt::format("{} {}", bytes, kUnits[0]);
  auto value = static_cast<double>(bytes);
  size_t unit = 0;
  // 1023.95 would be printed as 1024.0.
  while (value >= 1023.95 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_rate(double per_second) {
  if (!std::isfinite(per_second)) return "?";
  if (per_second >= 99.95) return grouped(std::llround(std::min(per_second, 9e18)));
  return fmt::format("{:.3g}", per_second);
}

int64_t display_width(std::string_view text) {
  int64_t width = 0;
  while (!text.empty()) {
    const Character character = first_character(text);
    width += width_of(character.code);
    text.remove_prefix(character.bytes);
  }
  return width;
}

std::string cut_to_width(std::string_view text, int64_t columns, bool unicode) {
  if (display_width(text) <= columns) return std::string(text);
  const std::string_view mark = unicode ? "…" : "...";
  const int64_t room = columns - display_width(mark);
  if (room < 0) return {};
  int64_t width = 0;
  size_t kept = 0;
  while (kept < text.size()) {
    const Character character = first_character(text.substr(kept));
    width += width_of(character.code);
    if (width > room) break;
    kept += character.bytes;
  }
  return std::string(text.substr(0, kept)) + std::string(mark);
}

}  // namespace megin
