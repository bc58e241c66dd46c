#include "exchange/their_tokenizer.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "exchange/foreign_json.h"

namespace megin::exchange {
namespace fs = std::filesystem;

TheirTokenizer::TheirTokenizer(const fs::path& folder, const std::vector<std::string>& classes)
    : folder_(folder), file_(folder / "tokenizer_config.json"), settings_(nlohmann::json::object()) {
  if (fs::exists(file_)) settings_ = read_json(file_);
  const auto found = member(settings_, "tokenizer_class", file_, classes.front());
  if (std::ranges::find(classes, found) == classes.end())
    fail("{}: tokenizer_class: wanted {}, found '{}'", file_.string(), fmt::join(classes, " or "), found);
}

bool TheirTokenizer::flag(const std::string& key, bool standard) const {
  return member(settings_, key, file_, standard);
}

void TheirTokenizer::require(const std::string& key, bool wanted) const {
  if (flag(key, wanted) != wanted)
    fail("{}: {}: wanted {}, as megin has no such tokenizer otherwise", file_.string(), key, wanted);
}

std::string TheirTokenizer::symbol(const std::string& key, const std::string& standard) const {
  const auto found = settings_.find(key);
  if (found != settings_.end() && found->is_object()) return member<std::string>(*found, "content", file_);
  return member(settings_, key, file_, standard);
}

void TheirTokenizer::require_no_more_than(const std::vector<std::string>& pieces) const {
  const fs::path file = folder_ / "added_tokens.json";
  if (!fs::exists(file)) return;
  const nlohmann::json added = read_json(file);
  for (const auto& [piece, id] : added.items()) {
    if (std::ranges::find(pieces, piece) == pieces.end()) {
      fail("{}: '{}': wanted no symbols beside those of the vocabulary, at which megin cuts no texts",
           file.string(), piece);
    }
  }
}

std::vector<std::string> TheirTokenizer::files() const {
  std::vector<std::string> files;
  for (const char* const name : {"tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"}) {
    if (fs::exists(folder_ / name)) files.emplace_back(name);
  }
  return files;
}

int64_t row_of(const std::vector<std::string>& pieces, const std::string& piece, const fs::path& file) {
  const auto found = std::ranges::find(pieces, piece);
  if (found == pieces.end()) fail("{}: wanted a piece {}, found none", file.string(), piece);
  return found - pieces.begin();
}

}  // namespace megin::exchange
