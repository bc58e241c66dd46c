// Byte-level byte-pair encoding as GPT-2 has it (Radford et al. 2019, section 2.2; Sennrich et al. 2016): a
// text is cut into words by its letters, digits and spaces, and each word's bytes are joined pair by pair in
// the order of learned merges. Every text has tokens and comes back byte for byte.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace megin::text {

struct BytePairTables {
  // In the order of ids, from kSpecialIds on. Bytes are spelled as GPT-2's vocab.json spells them ("Ġthe"):
  // the printable ones of Latin-1 as they are, the others as U+0100, U+0101 ...
  std::vector<std::string> pieces;
  std::vector<std::pair<std::string, std::string>> merges;  // the best first
  std::string end;                                          // how the end mark is spelled
  bool leading_space = false;  // a text that begins with none is read with one (RoBERTa's add_prefix_space)
};

// The tables as the bytes of a subword.model file: JSON, {"kind": "byte_pair", "end": ..., "pieces": [...],
// "merges": [[left, right], ...]}, with "leading_space": true where it is.
std::string to_bytes(const BytePairTables& tables);

// Whether a file is of that kind; a SentencePiece model never begins so.
bool is_byte_pair_file(std::string_view bytes);

// Throws Error naming the file for bytes that to_bytes() does not write: no JSON, a piece twice, a merge
// whose parts or whole are no pieces, a byte without a piece.
BytePairTables read_byte_pair_tables(std::string_view bytes, const std::string& name);

// Const in use and safe from any thread.
class BytePairModel {
 public:
  BytePairModel(BytePairTables tables, const std::string& name);  // the same errors
  ~BytePairModel();

  const BytePairTables& tables() const;
  std::vector<int32_t> encode(std::string_view text) const;  // valid UTF-8
  // The bytes of the pieces; as text, with U+FFFD for what is none. Special symbols are passed over, and
  // where texts are read with a leading space, one is taken away.
  std::string decode(std::span<const int32_t> ids) const;

 private:
  struct Maps;
  std::unique_ptr<const Maps> maps_;
};

// The words of a text, whole and in order: GPT-2's pattern
//   's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
std::vector<std::string_view> split_like_gpt2(std::string_view text);

}  // namespace megin::text
