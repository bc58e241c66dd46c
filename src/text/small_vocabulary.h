// For tests: a vocabulary of byte pairs with all single bytes, the beginning and the inside of a word, and a
// mask symbol: 263 symbols, the mask the last of them.
#pragma once

#include <cstdint>
#include <string>

#include "text/byte_pair.h"
#include "text/subword.h"

namespace megin::text {

inline constexpr const char* kWordBegin = "\xC4\xA0";  // a space, as GPT-2 spells it

inline SubwordModel small_vocabulary(bool with_mask = true) {
  BytePairTables tables;
  int32_t shifted = 0x100;
  for (int32_t byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int32_t code = printable ? byte : shifted++;
    std::string piece;
    if (code < 0x80) {
      piece += static_cast<char>(code);
    } else {
      piece += static_cast<char>(0xC0 | code >> 6);
      piece += static_cast<char>(0x80 | (code & 0x3F));
    }
    tables.pieces.push_back(piece);
  }
  tables.pieces.insert(tables.pieces.end(), {std::string(kWordBegin) + "a", "bc"});
  tables.merges = {{kWordBegin, "a"}, {"b", "c"}};
  tables.end = "<|endoftext|>";
  if (with_mask) tables.pieces.emplace_back("<mask>");
  return SubwordModel::from_bytes(to_bytes(tables), "a small vocabulary");
}

}  // namespace megin::text
