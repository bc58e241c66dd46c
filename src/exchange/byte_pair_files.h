// The tokenizer files that GPT-2 and RoBERTa share: vocab.json numbers the pieces, merges.txt joins them.
#pragma once

#include <array>
#include <filesystem>
#include <string>
#include <vector>

#include "exchange/plan.h"
#include "text/vocabulary.h"

namespace megin::exchange {

struct BytePairSymbols {
  std::vector<std::string> pieces;  // of vocab.json, by their ids
  std::array<int64_t, text::kSpecialIds>
      special{};               // their ids of megin's special symbols; -1: they have none
  bool leading_space = false;  // a text is read with a space before it
};

// Sets the plan's symbols and subword files by merges.txt of the folder. Throws Error naming the file when
// the merges do not fit the pieces or a byte has none.
void read_byte_pairs(const std::filesystem::path& folder, const BytePairSymbols& symbols, Plan& plan);

}  // namespace megin::exchange
