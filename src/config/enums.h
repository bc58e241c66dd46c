// Names for the values of an enum class, declared once beside it and used by parsing, printing, help and
// error messages alike:
//
//   enum class Color { kRed, kGreen };
//   constexpr auto enum_names(Color) { return std::array<std::string_view, 2>{"red", "green"}; }
//
// The names stand in the order of the values, which must be 0, 1, 2 ...
#pragma once

#include <array>
#include <concepts>
#include <string>
#include <string_view>

#include "base/error.h"

namespace megin::config {

template <typename E>
concept NamedEnum = requires(E e) {
  enum_names(e).size();
};

template <NamedEnum E>
constexpr std::string_view enum_name(E value) {
  return enum_names(value)[static_cast<size_t>(value)];
}

// "a, b, c": the choices, for messages and help.
template <NamedEnum E>
std::string enum_choices() {
  std::string list;
  for (const std::string_view name : enum_names(E{})) list += (list.empty() ? "" : ", ") + std::string(name);
  return list;
}

// Throws UsageError that lists the choices when `text` is none of them; `what` names the option.
template <NamedEnum E>
E parse_enum(std::string_view text, std::string_view what) {
  constexpr auto names = enum_names(E{});
  for (size_t i = 0; i < names.size(); ++i) {
    if (names[i] == text) return static_cast<E>(i);
  }
  fail_usage("{}: wanted one of {}; found '{}'", what, enum_choices<E>(), text);
}

}  // namespace megin::config
