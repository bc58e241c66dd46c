// Numbers and text as people read them, and how wide text is on a screen.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace megin {

std::string grouped(int64_t number);         // 1234567 -> "1,234,567"
std::string human_duration(double seconds);  // 51.4 -> "0:51", 3700 -> "1:01:40", 90061 -> "1 d 1:01:01"
std::string human_bytes(int64_t bytes);      // 1536 -> "1.5 KiB"
std::string human_rate(double per_second);   // 12.34 -> "12.3", 1803.2 -> "1,803", 0.0123 -> "0.0123"

// Columns that UTF-8 text takes on a terminal: combining marks 0, East Asian wide characters and emoji 2,
// everything else 1 (by ranges of code points; broken bytes count 1 each).
int64_t display_width(std::string_view text);

// The longest prefix of whole characters that fits into `columns`; a cut is shown by "…" (or "..." without
// Unicode) inside the columns.
std::string cut_to_width(std::string_view text, int64_t columns, bool unicode = true);

}  // namespace megin
