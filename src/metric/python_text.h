// Text as Python's str sees it. sacreBLEU is a Python program, so white space, lower case and characters mean
// here what they mean there. All strings are UTF-8 and, but for first_invalid_byte, must be valid.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace megin::metric {

// Offset of the first byte that is not part of valid UTF-8 (RFC 3629: no surrogates, no overlong forms), or
// npos when there is none.
size_t first_invalid_byte(std::string_view text);

// The code points of `text`.
std::u32string code_points(std::string_view text);

// str.isspace() of one character: the 29 characters that str.split() and str.rstrip() use. Not the same as
// C's isspace, nor as Unicode's White_Space (it has the four ASCII separators 1C to 1F as well).
bool is_python_space(char32_t c);

// str.split(): the pieces between runs of white space, none of them empty. Views into `text`.
std::vector<std::string_view> split(std::string_view text);

// str.rstrip(). A view into `text`.
std::string_view strip_right(std::string_view text);

// str.lower(): full Unicode mappings without a language (I with dot above becomes two characters, a sigma at
// the end of a word its final form).
std::string lower(std::string_view text);

}  // namespace megin::metric
