// "Did you mean": the nearest of a list of words to a mistyped one.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace megin::config {

// Edits (insert, delete, replace a byte, swap two neighbours) that turn `a` into `b`.
size_t edit_distance(std::string_view a, std::string_view b);

// The choice with the fewest edits, the first of equals; empty when none is near enough to be meant (more
// than a third of its letters differ, at least two edits always being allowed for words of four or more).
std::string nearest(std::string_view word, std::span<const std::string> choices);

// "; did you mean 'x'?" or nothing: the end of a message.
std::string did_you_mean(std::string_view word, std::span<const std::string> choices);

}  // namespace megin::config
