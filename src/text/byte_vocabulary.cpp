#include "text/byte_vocabulary.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "config/enums.h"
#include "text/symbol_set.h"
#include "text/vocabulary.h"

namespace megin::text {
namespace {

using config::Newlines;

constexpr std::string_view kFormat = "megin-bytes";
constexpr int64_t kVersion = 1;
constexpr int32_t kLeftOut = -1;
constexpr uint8_t kNewline = 10;

// Byte values that are printed as themselves; the others as SentencePiece writes bytes.
std::string piece_of(uint8_t value) {
  return value > 0x20 && value < 0x7F ? std::string(1, static_cast<char>(value))
                                      : fmt::format("<0x{:02X}>", value);
}

class ByteSymbols final : public SymbolSet {
 public:
  explicit ByteSymbols(ByteVocabulary vocabulary) : vocabulary_(std::move(vocabulary)) {
    ids_.fill(kUnknownId);
    if (vocabulary_.newlines == Newlines::kDrop) ids_[kNewline] = kLeftOut;
    for (size_t i = 0; i < vocabulary_.values.size(); ++i)
      ids_[vocabulary_.values[i]] = kSpecialIds + static_cast<int32_t>(i);
  }

  std::vector<std::string> pieces() const override {
    std::vector<std::string> pieces;
    for (const uint8_t value : vocabulary_.values) pieces.push_back(piece_of(value));
    return pieces;
  }

  std::vector<int32_t> encode(std::string_view text) const override {
    std::vector<int32_t> ids;
    ids.reserve(text.size());
    for (const char byte : text) {
      const int32_t id = ids_[static_cast<uint8_t>(byte)];
      if (id != kLeftOut) ids.push_back(id);
    }
    return ids;
  }

  std::string decode(std::span<const int32_t> ids) const override {
    std::string text;
    for (const int32_t id : ids) {
      if (id >= kSpecialIds) {
        text += static_cast<char>(vocabulary_.values[static_cast<size_t>(id - kSpecialIds)]);
      } else if (id == kUnknownId) {
        text += "\xEF\xBF\xBD";  // U+FFFD
      }
    }
    return text;
  }

  const ByteVocabulary* byte_vocabulary() const override { return &vocabulary_; }

 private:
  ByteVocabulary vocabulary_;
  std::array<int32_t, 256> ids_;  // of each byte value
};

ByteVocabulary parse(const nlohmann::json& json) {
  if (json.at("format") != kFormat || json.at("version") != kVersion)
    fail("wanted format {} of version {}", kFormat, kVersion);
  ByteVocabulary vocabulary{
      .newlines = config::parse_enum<Newlines>(json.at("newlines").get<std::string>(), "newlines"),
      .values = {}};
  std::array<bool, 256> found{};
  found[kNewline] = vocabulary.newlines == Newlines::kDrop;
  for (const nlohmann::json& entry : json.at("bytes")) {
    const auto value = entry.get<int64_t>();
    if (value < 0 || value > 255 || found[static_cast<size_t>(value)])
      fail("wanted byte values that have a symbol, each once, found {}", value);
    found[static_cast<size_t>(value)] = true;
    vocabulary.values.push_back(static_cast<uint8_t>(value));
  }
  return vocabulary;
}

}  // namespace

std::string to_file(const ByteVocabulary& vocabulary) {
  const nlohmann::ordered_json json = {{"format", kFormat},
                                       {"version", kVersion},
                                       {"newlines", config::enum_name(vocabulary.newlines)},
                                       {"bytes", vocabulary.values}};
  return json.dump() + "\n";
}

ByteVocabulary byte_vocabulary_from_file(std::string_view bytes, const std::string& name) {
  try {
    return parse(nlohmann::json::parse(bytes));
  } catch (const std::exception& damage) {
    fail("{}: wanted a vocabulary of bytes, found something else or a damaged one ({})", name, damage.what());
  }
}

bool is_byte_vocabulary_file(std::string_view bytes) {
  return bytes.starts_with('{');
}

void ByteCounts::add(std::string_view piece) {
  for (const char byte : piece) {
    const auto value = static_cast<uint8_t>(byte);
    if (counts_[value]++ == 0) seen_.push_back(value);
  }
}

ByteVocabulary ByteCounts::vocabulary(Newlines newlines) const {
  ByteVocabulary vocabulary{.newlines = newlines, .values = seen_};
  if (newlines == Newlines::kDrop) std::erase(vocabulary.values, kNewline);
  std::ranges::stable_sort(vocabulary.values, std::ranges::greater{},
                           [&](uint8_t value) { return counts_[value]; });
  return vocabulary;
}

std::unique_ptr<const SymbolSet> byte_symbols(std::string_view bytes, const std::string& name) {
  return std::make_unique<ByteSymbols>(byte_vocabulary_from_file(bytes, name));
}

}  // namespace megin::text
