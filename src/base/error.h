// The two exceptions of megin. Libraries throw them; only main and the HTTP border catch them.
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace megin {

// Something that a user, a file or the machine caused. The message is one sentence for a person: what was
// wanted, what was found, where, and what to do. The program exits with 1.
class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& message) : std::runtime_error(message) {}
};

// The call itself was wrong (an unknown option or key, a value out of its range). The program exits with 2.
class UsageError : public Error {
 public:
  using Error::Error;
};

// Throws Error with a formatted message: fail("{}:{}: wanted 2 columns, found {}", file, line, count).
template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

// The same as a UsageError.
template <typename... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw UsageError(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace megin
