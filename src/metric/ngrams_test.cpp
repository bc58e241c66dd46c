#include "metric/ngrams.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/random.h"

namespace megin::metric {
namespace {

using Sequence = std::vector<uint32_t>;

std::map<Sequence, size_t> slow_counts(const Sequence& words, size_t n) {
  std::map<Sequence, size_t> counts;
  for (size_t i = 0; i + n <= words.size(); ++i) ++counts[{words.begin() + i, words.begin() + i + n}];
  return counts;
}

size_t slow_matches(const Sequence& words, const std::vector<Sequence>& references, size_t n) {
  size_t total = 0;
  for (const auto& [ngram, count] : slow_counts(words, n)) {
    size_t most = 0;
    for (const Sequence& reference : references) {
      const auto counts = slow_counts(reference, n);
      if (const auto found = counts.find(ngram); found != counts.end()) most = std::max(most, found->second);
    }
    total += std::min(count, most);
  }
  return total;
}

Sequence random_sequence(uint64_t key, uint64_t symbols) {
  Sequence words(draw_index(key, 0, 20));
  for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint32_t>(draw_index(key, i + 1, symbols));
  return words;
}

TEST(Ngrams, AgreeWithCountsInAMap) {
  for (uint64_t trial = 0; trial < 300; ++trial) {
    const uint64_t symbols = 1 + trial % 5;
    std::vector<Sequence> sequences;
    std::vector<Ngrams> words, characters;
    for (uint64_t k = 0; k < 3; ++k) {
      sequences.push_back(random_sequence(draw_key(1, Purpose::kSampling, {trial, k}), symbols));
      words.push_back(Ngrams::of_words(sequences.back()));
      characters.push_back(
          Ngrams::of_characters(std::u32string(sequences.back().begin(), sequences.back().end())));
    }
    const std::vector<Sequence> references(sequences.begin() + 1, sequences.end());
    for (size_t n = 1; n <= 6; ++n) {
      const size_t expected = slow_matches(sequences[0], references, n);
      EXPECT_EQ(characters[0].matches({&characters[1], 2}, n), expected);
      if (n <= 4) {
        EXPECT_EQ(words[0].matches({&words[1], 2}, n), expected);
      }
      EXPECT_EQ(characters[0].count(n), sequences[0].size() < n ? 0 : sequences[0].size() - n + 1);
    }
  }
}

TEST(Ngrams, HoldTheLargestCharacterAndNul) {
  const std::u32string text = {0x10FFFF, 0, 0x10FFFF, 0, 0x10FFFF, 0, 0x10FFFF};
  const Ngrams ngrams = Ngrams::of_characters(text);
  for (size_t n = 1; n <= 6; ++n) EXPECT_EQ(ngrams.matches({&ngrams, 1}, n), 8 - n);
}

TEST(Ngrams, EqualWordsGetEqualNumbers) {
  WordNumbers numbers;
  EXPECT_EQ(numbers(std::vector<std::string_view>{"a", "b", "a"}), (Sequence{0, 1, 0}));
  EXPECT_EQ(numbers(std::vector<std::string_view>{"c", "b"}), (Sequence{2, 1}));
}

}  // namespace
}  // namespace megin::metric
