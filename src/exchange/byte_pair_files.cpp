#include "exchange/byte_pair_files.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "text/byte_pair.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;

// The merges of merges.txt, whose lines are "left right"; the first may be a comment.
std::vector<std::pair<std::string, std::string>> read_merges(const fs::path& file) {
  std::vector<std::pair<std::string, std::string>> merges;
  const std::string text = read_file(file);
  for (size_t at = 0, number = 1; at < text.size(); ++number) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string line = text.substr(at, end - at);
    at = end + 1;
    if (line.ends_with('\r')) line.pop_back();
    if (line.empty() || (number == 1 && line.starts_with("#version"))) continue;
    const size_t space = line.find(' ');
    if (space == 0 || space + 1 >= line.size() || line.find(' ', space + 1) != line.npos) {
      fail("{}, line {}: wanted two pieces with a space between, found '{}'", file.string(), number, line);
    }
    merges.emplace_back(line.substr(0, space), line.substr(space + 1));
  }
  return merges;
}

}  // namespace

void read_byte_pairs(const fs::path& folder, const BytePairSymbols& symbols, Plan& plan) {
  text::BytePairTables tables{.pieces = {},
                              .merges = read_merges(folder / "merges.txt"),
                              .end = symbols.pieces[static_cast<size_t>(symbols.special[text::kEndId])],
                              .leading_space = symbols.leading_space};
  plan.symbols.clear();
  for (const int64_t row : symbols.special) plan.symbols.push_back({.row = row, .produced = row >= 0});
  for (size_t id = 0; id < symbols.pieces.size(); ++id) {
    const auto row = static_cast<int64_t>(id);
    if (std::ranges::find(symbols.special, row) != symbols.special.end()) continue;
    plan.symbols.push_back({.row = row});
    tables.pieces.push_back(symbols.pieces[id]);
  }
  const text::BytePairModel checked(std::move(tables), (folder / "vocab.json").string());
  plan.source_subword = plan.target_subword = to_bytes(checked.tables());
}

}  // namespace megin::exchange
