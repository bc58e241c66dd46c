#include "text/byte_pair.h"

#include <unicode/uchar.h>
#include <unicode/utf8.h>

#include <algorithm>
#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <queue>
#include <unordered_map>

#include "base/error.h"
#include "text/symbol_set.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace megin::text {
namespace {

constexpr std::string_view kStart = "{\"kind\":\"byte_pair\"";

enum class Class { kLetter, kNumber, kSpace, kOther };

Class class_of(UChar32 c) {
  if (u_isUWhiteSpace(c)) return Class::kSpace;
  const uint32_t mask = U_MASK(u_charType(c));
  if ((mask & U_GC_L_MASK) != 0) return Class::kLetter;
  return (mask & U_GC_N_MASK) != 0 ? Class::kNumber : Class::kOther;
}

// One pass over a text, a word at a time.
class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  std::string_view next() {
    const size_t first = at_;
    if (const size_t length = contraction(); length > 0) {
      at_ += length;
    } else {
      word();
    }
    return text_.substr(first, at_ - first);
  }
  bool done() const { return at_ == text_.size(); }
  bool at_space() const { return character(at_).kind == Class::kSpace; }

 private:
  struct Character {
    Class kind;
    size_t bytes;
  };
  Character character(size_t at) const {
    const auto size = static_cast<int32_t>(std::min<size_t>(text_.size() - at, 4));
    int32_t bytes = 0;
    UChar32 c = 0;
    U8_NEXT(text_.data() + at, bytes, size, c);
    return {c < 0 ? Class::kOther : class_of(c), static_cast<size_t>(bytes)};
  }

  size_t contraction() const {
    for (const std::string_view end : {"'s", "'t", "'re", "'ve", "'m", "'ll", "'d"}) {
      if (text_.substr(at_).starts_with(end)) return end.size();
    }
    return 0;
  }

  // A run of one class with one plain space before it, or of spaces: all that end the text; before a word all
  // but the last, or the last alone.
  void word() {
    Character c = character(at_);
    const bool space_before = text_[at_] == ' ' && at_ + 1 < text_.size();
    if (space_before && character(at_ + 1).kind != Class::kSpace) c = character(++at_);
    const Class kind = c.kind;
    size_t last = at_;
    for (size_t characters = 0;; ++characters) {
      if (at_ == text_.size()) return;
      c = character(at_);
      if (c.kind != kind) {
        if (kind == Class::kSpace && characters > 1) at_ = last;
        return;
      }
      last = at_;
      at_ += c.bytes;
    }
  }

  std::string_view text_;
  size_t at_ = 0;
};

// The character that spells a byte.
std::array<std::string, 256> spellings() {
  std::array<std::string, 256> spelled;
  UChar32 next = 256;
  for (int byte = 0; byte < 256; ++byte) {
    const bool shown = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const UChar32 c = shown ? byte : next++;
    char encoded[U8_MAX_LENGTH];
    int32_t size = 0;
    U8_APPEND_UNSAFE(encoded, size, c);
    spelled[static_cast<size_t>(byte)].assign(encoded, static_cast<size_t>(size));
  }
  return spelled;
}

uint64_t pair_key(int32_t left, int32_t right) {
  return static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
}

struct Merge {
  int32_t rank;  // 0: the best
  int32_t whole;
};

// A word on its way from bytes to pieces: a list whose neighbours join.
struct Part {
  int32_t id;
  int32_t before, after;  // -1: none
};

struct Candidate {
  int32_t rank, at;
  int32_t left, right;  // the pieces that stood there
  bool operator>(const Candidate& other) const {
    return std::pair(rank, at) > std::pair(other.rank, other.at);
  }
};

}  // namespace

std::vector<std::string_view> split_like_gpt2(std::string_view text) {
  std::vector<std::string_view> words;
  for (Splitter splitter(text); !splitter.done();) words.push_back(splitter.next());
  return words;
}

struct BytePairModel::Maps {
  BytePairTables tables;
  std::array<int32_t, 256> bytes = {};                     // to ids
  std::unordered_map<std::string, unsigned char> spelled;  // characters to bytes
  std::unordered_map<uint64_t, Merge> merges;

  void encode_word(std::string_view word, std::vector<int32_t>& ids) const;
};

std::string to_bytes(const BytePairTables& tables) {
  nlohmann::ordered_json merges = nlohmann::ordered_json::array();
  for (const auto& [left, right] : tables.merges) merges.push_back({left, right});
  nlohmann::ordered_json file = {
      {"kind", "byte_pair"}, {"end", tables.end}, {"pieces", tables.pieces}, {"merges", merges}};
  if (tables.leading_space) file["leading_space"] = true;
  return file.dump() + "\n";
}

bool is_byte_pair_file(std::string_view bytes) {
  return bytes.starts_with(kStart);
}

BytePairTables read_byte_pair_tables(std::string_view bytes, const std::string& name) {
  using nlohmann::json;
  constexpr int kMostDepth = 4;
  const auto bounded = [&](int depth, json::parse_event_t, const json&) {
    if (depth > kMostDepth) fail("{}: wanted the tables of a byte-pair tokenizer, found another JSON", name);
    return true;
  };
  BytePairTables tables;
  try {
    const json file = json::parse(bytes, bounded);
    file.at("end").get_to(tables.end);
    file.at("pieces").get_to(tables.pieces);
    tables.leading_space = file.value("leading_space", false);
    for (const json& merge : file.at("merges")) {
      tables.merges.emplace_back(merge.at(0).get<std::string>(), merge.at(1).get<std::string>());
    }
  } catch (const json::exception& error) {
    fail("{}: wanted the tables of a byte-pair tokenizer, found something else or a damaged file ({})", name,
         error.what());
  }
  return tables;
}

BytePairModel::BytePairModel(BytePairTables tables, const std::string& name) {
  auto maps = std::make_unique<Maps>();
  std::unordered_map<std::string_view, int32_t> ids;
  maps->tables = std::move(tables);
  const BytePairTables& own = maps->tables;
  for (size_t i = 0; i < own.pieces.size(); ++i) {
    if (!ids.emplace(own.pieces[i], kSpecialIds + static_cast<int32_t>(i)).second) {
      fail("{}: the piece '{}' stands twice in this tokenizer", name, own.pieces[i]);
    }
  }
  const auto id_of = [&](const std::string& piece, std::string_view what) {
    const auto found = ids.find(piece);
    if (found == ids.end()) fail("{}: this tokenizer has no piece '{}', which {} needs", name, piece, what);
    return found->second;
  };
  const auto spelled = spellings();
  for (size_t byte = 0; byte < spelled.size(); ++byte) {
    maps->bytes[byte] = id_of(spelled[byte], "a byte");
    maps->spelled.emplace(spelled[byte], static_cast<unsigned char>(byte));
  }
  for (size_t rank = 0; rank < own.merges.size(); ++rank) {
    const auto& [left, right] = own.merges[rank];
    const Merge merge{static_cast<int32_t>(rank), id_of(left + right, "a merge")};
    maps->merges.emplace(pair_key(id_of(left, "a merge"), id_of(right, "a merge")), merge);
  }
  maps_ = std::move(maps);
}

BytePairModel::~BytePairModel() = default;

const BytePairTables& BytePairModel::tables() const {
  return maps_->tables;
}

// The best merge, the leftmost among equals, until none applies.
void BytePairModel::Maps::encode_word(std::string_view word, std::vector<int32_t>& ids) const {
  std::vector<Part> parts;
  for (const char c : word) {
    const auto at = static_cast<int32_t>(parts.size());
    parts.push_back({bytes[static_cast<unsigned char>(c)], at - 1, at + 1});
  }
  parts.back().after = -1;
  std::priority_queue<Candidate, std::vector<Candidate>, std::greater<>> candidates;
  const auto consider = [&](int32_t at) {
    if (at < 0 || parts[static_cast<size_t>(at)].after < 0) return;
    const Part& left = parts[static_cast<size_t>(at)];
    const int32_t right = parts[static_cast<size_t>(left.after)].id;
    const auto found = merges.find(pair_key(left.id, right));
    if (found != merges.end()) candidates.push({found->second.rank, at, left.id, right});
  };
  for (size_t i = 0; i + 1 < parts.size(); ++i) consider(static_cast<int32_t>(i));
  while (!candidates.empty()) {
    const Candidate best = candidates.top();
    candidates.pop();
    Part& left = parts[static_cast<size_t>(best.at)];
    if (left.id != best.left || left.after < 0) continue;  // has been joined since
    Part& right = parts[static_cast<size_t>(left.after)];
    if (right.id != best.right) continue;
    left.id = merges.at(pair_key(best.left, best.right)).whole;
    left.after = right.after;
    right.id = -1;
    if (left.after >= 0) parts[static_cast<size_t>(left.after)].before = best.at;
    consider(left.before);
    consider(best.at);
  }
  for (int32_t at = 0; at >= 0; at = parts[static_cast<size_t>(at)].after) {
    ids.push_back(parts[static_cast<size_t>(at)].id);
  }
}

std::vector<int32_t> BytePairModel::encode(std::string_view text) const {
  std::string spaced;
  if (maps_->tables.leading_space && !text.empty() && !Splitter(text).at_space()) {
    spaced = " " + std::string(text);
    text = spaced;
  }
  std::vector<int32_t> ids;
  for (Splitter splitter(text); !splitter.done();) maps_->encode_word(splitter.next(), ids);
  return ids;
}

std::string BytePairModel::decode(std::span<const int32_t> ids) const {
  std::string text;
  for (const int32_t id : ids) {
    if (id < kSpecialIds) continue;
    const std::string& piece = maps_->tables.pieces[static_cast<size_t>(id - kSpecialIds)];
    for (size_t at = 0; at < piece.size();) {
      int32_t bytes = 0;
      UChar32 c = 0;
      U8_NEXT(piece.data() + at, bytes, static_cast<int32_t>(piece.size() - at), c);
      const std::string character = piece.substr(at, static_cast<size_t>(bytes));
      const auto found = maps_->spelled.find(character);
      // A piece that was added to the vocabulary is not spelled in bytes.
      text += found == maps_->spelled.end() ? character : std::string(1, static_cast<char>(found->second));
      at += static_cast<size_t>(bytes);
    }
  }
  if (maps_->tables.leading_space && text.starts_with(' ')) text.erase(0, 1);
  return is_valid_utf8(text) ? text : to_utf8(text, "UTF-8");
}

namespace {

class BytePairSymbols final : public SymbolSet {
 public:
  BytePairSymbols(std::string_view bytes, const std::string& name)
      : model_(read_byte_pair_tables(bytes, name), name) {}

  std::vector<std::string> pieces() const override { return model_.tables().pieces; }
  std::vector<int32_t> encode(std::string_view line) const override {
    return is_valid_utf8(line) ? model_.encode(line) : model_.encode(to_utf8(line, "UTF-8"));
  }
  std::string decode(std::span<const int32_t> ids) const override { return model_.decode(ids); }

 private:
  BytePairModel model_;
};

}  // namespace

std::unique_ptr<const SymbolSet> byte_pair_symbols(std::string_view bytes, const std::string& name) {
  return std::make_unique<BytePairSymbols>(bytes, name);
}

}  // namespace megin::text
