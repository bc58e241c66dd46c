#include "text/wordpiece.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "base/error.h"
#include "text/symbol_set.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace megin::text {
namespace {

constexpr std::string_view kStart = "{\"kind\":\"wordpiece\"";
constexpr std::string_view kGoesOn = "##";
constexpr std::string_view kUnknownWord = "\xE2\x81\x87";  // U+2047, as SentencePiece spells it
constexpr size_t kMostCharacters = 100;                    // of a word that is looked up

// Calls `use(code point)` for each character of valid UTF-8.
template <typename Use>
void for_each_character(std::string_view text, Use use) {
  const auto size = static_cast<int32_t>(text.size());
  for (int32_t at = 0; at < size;) {
    UChar32 c = 0;
    U8_NEXT_OR_FFFD(text.data(), at, size, c);
    use(c);
  }
}

void append(std::string& text, UChar32 c) {
  char encoded[U8_MAX_LENGTH];
  int32_t size = 0;
  U8_APPEND_UNSAFE(encoded, size, c);
  text.append(encoded, static_cast<size_t>(size));
}

bool is_of(UChar32 c, uint32_t categories) {
  return (U_MASK(u_charType(c)) & categories) != 0;
}

bool is_space(UChar32 c) {
  return c == ' ' || c == '\t' || c == '\n' || c == '\r' || (c > 0x7F && is_of(c, U_GC_Z_MASK));
}

// Controls, formats (joiners, direction marks), private and unassigned characters.
bool is_dropped(UChar32 c) {
  return c == 0xFFFD || is_of(c, U_GC_C_MASK);
}

// All of ASCII that is neither letter nor digit, symbols like $ included; else Unicode's category.
bool is_punctuation(UChar32 c) {
  if (c < 0x80) return c > ' ' && c < 0x7F && !u_isalnum(c);
  return is_of(c, U_GC_P_MASK);
}

// The blocks of ideographs that BERT was trained with; later ones are letters to it.
bool is_chinese(UChar32 c) {
  constexpr std::pair<UChar32, UChar32> kBlocks[] = {
      {0x4E00, 0x9FFF},   {0x3400, 0x4DBF},   {0x20000, 0x2A6DF}, {0x2A700, 0x2B73F},
      {0x2B740, 0x2B81F}, {0x2B820, 0x2CEAF}, {0xF900, 0xFAFF},   {0x2F800, 0x2FA1F}};
  return std::ranges::any_of(kBlocks,
                             [&](const auto& block) { return c >= block.first && c <= block.second; });
}

void append_lower(std::string& text, UChar32 c) {
  append(text, u_tolower(c));
  if (c == 0x130) append(text, 0x307);  // the one letter that two stand for: i and a dot above
}

}  // namespace

std::vector<std::string> split_like_bert(std::string_view text, const WordPieceTables& tables) {
  std::string cleaned;
  for_each_character(text, [&](UChar32 c) {
    if (is_space(c)) {
      cleaned += ' ';
    } else if (tables.split_chinese && is_chinese(c)) {
      cleaned += ' ';
      append(cleaned, c);
      cleaned += ' ';
    } else if (!is_dropped(c)) {
      tables.lower_case ? append_lower(cleaned, c) : append(cleaned, c);
    }
  });
  std::vector<std::string> words;
  bool open = false;  // whether the next character may belong to the last word
  const NormalForm form = tables.strip_accents ? NormalForm::kDecomposed : NormalForm::kComposed;
  for_each_character(normalised(cleaned, form), [&](UChar32 c) {
    if (tables.strip_accents && u_charType(c) == U_NON_SPACING_MARK) return;
    const bool alone = is_punctuation(c);
    if (alone || c == ' ') open = false;
    if (c == ' ') return;
    if (!open) words.emplace_back();
    append(words.back(), c);
    open = !alone;
  });
  return words;
}

std::string to_bytes(const WordPieceTables& tables) {
  const nlohmann::ordered_json file = {{"kind", "wordpiece"},
                                       {"lower_case", tables.lower_case},
                                       {"strip_accents", tables.strip_accents},
                                       {"split_chinese", tables.split_chinese},
                                       {"pieces", tables.pieces}};
  return file.dump() + "\n";
}

bool is_wordpiece_file(std::string_view bytes) {
  return bytes.starts_with(kStart);
}

WordPieceTables read_wordpiece_tables(std::string_view bytes, const std::string& name) {
  using nlohmann::json;
  constexpr int kMostDepth = 3;
  const auto bounded = [&](int depth, json::parse_event_t, const json&) {
    if (depth > kMostDepth) fail("{}: wanted the tables of a WordPiece tokenizer, found another JSON", name);
    return true;
  };
  WordPieceTables tables;
  try {
    const json file = json::parse(bytes, bounded);
    file.at("lower_case").get_to(tables.lower_case);
    file.at("strip_accents").get_to(tables.strip_accents);
    file.at("split_chinese").get_to(tables.split_chinese);
    file.at("pieces").get_to(tables.pieces);
  } catch (const json::exception& error) {
    fail("{}: wanted the tables of a WordPiece tokenizer, found something else or a damaged file ({})", name,
         error.what());
  }
  return tables;
}

struct WordPieceModel::Maps {
  WordPieceTables tables;
  std::unordered_map<std::string_view, int32_t> first;  // pieces that begin a word
  std::unordered_map<std::string_view, int32_t> later;  // the others, without their "##"

  bool encode_word(std::string_view word, std::vector<int32_t>& ids) const;
};

WordPieceModel::WordPieceModel(WordPieceTables tables, const std::string& name) {
  auto maps = std::make_unique<Maps>();
  maps->tables = std::move(tables);
  for (size_t i = 0; i < maps->tables.pieces.size(); ++i) {
    const std::string& piece = maps->tables.pieces[i];
    if (piece.empty()) fail("{}: a piece of this tokenizer is empty", name);
    const bool goes_on = piece.starts_with(kGoesOn);
    auto& table = goes_on ? maps->later : maps->first;
    const std::string_view text = std::string_view(piece).substr(goes_on ? kGoesOn.size() : 0);
    if (!table.emplace(text, kSpecialIds + static_cast<int32_t>(i)).second)
      fail("{}: the piece '{}' stands twice in this tokenizer", name, piece);
  }
  maps_ = std::move(maps);
}

WordPieceModel::~WordPieceModel() = default;

const WordPieceTables& WordPieceModel::tables() const {
  return maps_->tables;
}

// Adds the word's pieces, or says that it has none.
bool WordPieceModel::Maps::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  std::vector<size_t> ends;  // of its characters
  for (size_t i = 1; i <= word.size(); ++i) {
    if (i == word.size() || !U8_IS_TRAIL(word[i])) ends.push_back(i);
  }
  if (ends.size() > kMostCharacters) return false;
  const size_t before = ids.size();
  size_t at = 0;
  for (size_t next = 0; next < ends.size();) {
    const auto& table = at == 0 ? first : later;
    size_t last = ends.size();
    auto found = table.find(word.substr(at));
    while (found == table.end() && last > next + 1) {
      --last;
      found = table.find(word.substr(at, ends[last - 1] - at));
    }
    if (found == table.end()) {
      ids.resize(before);
      return false;
    }
    ids.push_back(found->second);
    next = last;
    at = ends[last - 1];
  }
  return true;
}

std::vector<int32_t> WordPieceModel::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  for (const std::string& word : split_like_bert(text, maps_->tables)) {
    if (!maps_->encode_word(word, ids)) ids.push_back(kUnknownId);
  }
  return ids;
}

std::string WordPieceModel::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < kUnknownId) continue;
    std::string_view piece = kUnknownWord;
    if (id >= kSpecialIds) piece = maps_->tables.pieces[static_cast<size_t>(id - kSpecialIds)];
    if (!text.empty() && piece.starts_with(kGoesOn)) {
      piece.remove_prefix(kGoesOn.size());
    } else if (!text.empty()) {
      text += ' ';
    }
    text += piece;
  }
  return text;
}

namespace {

class WordPieceSymbols final : public SymbolSet {
 public:
  WordPieceSymbols(std::string_view bytes, const std::string& name)
      : model_(read_wordpiece_tables(bytes, name), name) {}

  std::vector<std::string> pieces() const override { return model_.tables().pieces; }
  std::vector<int32_t> encode(std::string_view line) const override {
    return is_valid_utf8(line) ? model_.encode(line) : model_.encode(to_utf8(line, "UTF-8"));
  }
  std::string decode(std::span<const int32_t> ids) const override { return model_.decode(ids); }

 private:
  WordPieceModel model_;
};

}  // namespace

std::unique_ptr<const SymbolSet> wordpiece_symbols(std::string_view bytes, const std::string& name) {
  return std::make_unique<WordPieceSymbols>(bytes, name);
}

}  // namespace megin::text
