// For tests of streams over a text: ten tokens, four lines, one of them empty.
#pragma once

#include <cstdint>
#include <vector>

#include "data/example_set.h"
#include "text/vocabulary.h"

namespace megin::data {

inline constexpr int32_t kEnd = text::kEndId, kPad = text::kPadId;
using Tokens = std::vector<int32_t>;

// 10 11 12 end 13 end end 14 15 end.
inline MemoryExamples small_text() {
  MemoryExamples text;
  text.add({}, {10, 11, 12});
  text.add({}, {13});
  text.add({}, {});
  text.add({}, {14, 15});
  return text;
}

}  // namespace megin::data
