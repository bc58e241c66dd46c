// Symbols that are single bytes: which byte values have one and in what order, as Transformer-XL's loader
// numbers those of enwik8 (smoe_dropout spec 5.1), and the file that holds them in place of a subword model.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/data_config.h"

namespace megin::text {

// A plain value. With `drop` the newline (10) is no symbol and a text's newlines are left out; any other byte
// value that has no symbol is the unknown symbol.
struct ByteVocabulary {
  config::Newlines newlines = config::Newlines::kKeep;
  std::vector<uint8_t> values;  // of the ids from kSpecialIds on, each at most once

  bool operator==(const ByteVocabulary&) const = default;
};

// The file's bytes (docs/data_format.md), and back. Reading throws Error naming `name` for anything else.
std::string to_file(const ByteVocabulary& vocabulary);
ByteVocabulary byte_vocabulary_from_file(std::string_view bytes, const std::string& name);

// Whether the bytes of a file begin as such a file does; a SentencePiece model never does, and of JSON only
// byte pairs (byte_pair.h) and word pieces (wordpiece.h) begin so, too.
bool is_byte_vocabulary_file(std::string_view bytes);

// How often each byte value occurs in a text that is given piece by piece.
class ByteCounts {
 public:
  void add(std::string_view piece);

  // The values that occurred, in the order of descending counts, equal counts in that of their first
  // occurrence.
  ByteVocabulary vocabulary(config::Newlines newlines) const;

 private:
  std::array<uint64_t, 256> counts_{};
  std::vector<uint8_t> seen_;  // in the order of their first occurrence
};

}  // namespace megin::text
