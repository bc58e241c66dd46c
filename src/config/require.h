// One line per rule for the check() functions.
#pragma once

#include <string_view>

#include "base/error.h"

namespace megin::config {

// Throws UsageError "path: wanted ..., found ..." unless `holds`.
template <typename T>
void require(bool holds, std::string_view path, std::string_view wanted, const T& found) {
  if (!holds) fail_usage("{}: wanted {}, found {}", path, wanted, found);
}

}  // namespace megin::config
