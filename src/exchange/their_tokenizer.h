// What tokenizer_config.json of transformers says of a tokenizer; where there is none, its defaults.
#pragma once

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace megin::exchange {

class TheirTokenizer {
 public:
  // Throws Error for a file that is no JSON object, and for another tokenizer than those of `classes`.
  TheirTokenizer(const std::filesystem::path& folder, const std::vector<std::string>& classes);

  bool flag(const std::string& key, bool standard) const;
  // Throws Error unless the flag, which is so where it is not given, has this value.
  void require(const std::string& key, bool wanted) const;
  // How a special symbol is spelled ("mask_token").
  std::string symbol(const std::string& key, const std::string& standard) const;
  // Throws Error where added_tokens.json has symbols beside `pieces`, which texts would be cut at.
  void require_no_more_than(const std::vector<std::string>& pieces) const;

  // The files that are there and go back with an export.
  std::vector<std::string> files() const;

 private:
  std::filesystem::path folder_, file_;
  nlohmann::json settings_;
};

// The number of the piece. Throws Error naming the file where there is none.
int64_t row_of(const std::vector<std::string>& pieces, const std::string& piece,
               const std::filesystem::path& file);

}  // namespace megin::exchange
