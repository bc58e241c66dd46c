// WordPiece as BERT has it (Devlin et al. 2019, section 3; Wu et al. 2016, section 4.1): a text is cut into
// words at white space, punctuation and Chinese characters, and each word into the longest pieces that the
// vocabulary has, from left to right. What the cleaning takes away (capitals, accents, spaces) does not come
// back.
//
// The rules are those of transformers' BertTokenizer. Lower-casing looks at single characters, so that a
// capital sigma at the end of a word is no final sigma.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace megin::text {

struct WordPieceTables {
  bool lower_case = true;
  bool strip_accents = true;        // letters lose their marks (Unicode NFD without category Mn)
  bool split_chinese = true;        // each CJK ideograph is a word
  std::vector<std::string> pieces;  // in the order of ids, from kSpecialIds on; "##ing" goes on with a word
};

// The tables as the bytes of a subword.model file: JSON, {"kind": "wordpiece", "lower_case": ...,
// "strip_accents": ..., "split_chinese": ..., "pieces": [...]}.
std::string to_bytes(const WordPieceTables& tables);

// Whether a file is of that kind; no other kind begins so.
bool is_wordpiece_file(std::string_view bytes);

// Throws Error naming the file for bytes that to_bytes() does not write: no JSON, a piece twice or empty.
WordPieceTables read_wordpiece_tables(std::string_view bytes, const std::string& name);

// Const in use and safe from any thread.
class WordPieceModel {
 public:
  WordPieceModel(WordPieceTables tables, const std::string& name);  // the same errors
  ~WordPieceModel();

  const WordPieceTables& tables() const;
  // Words that no pieces make up, or of more than 100 characters, are the unknown symbol.
  std::vector<int32_t> encode(std::string_view text) const;  // valid UTF-8
  // Words with one space between; the unknown symbol is the word "⁇", the other special ones are passed over.
  std::string decode(std::span<const int32_t> ids) const;

 private:
  struct Maps;
  std::unique_ptr<const Maps> maps_;
};

// The words of a text, cleaned as the tables say, in order.
std::vector<std::string> split_like_bert(std::string_view text, const WordPieceTables& tables);

}  // namespace megin::text
