// Counts of the n-grams of one segment, of all orders at once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace megin::metric {

// Numbers for words, in order of first appearance from 0: equal words of one segment's hypothesis and
// references get equal numbers. Keeps views, so the words must outlive it.
class WordNumbers {
 public:
  std::vector<uint32_t> operator()(std::span<const std::string_view> words);

 private:
  std::unordered_map<std::string_view, uint32_t> numbers_;
};

// The n-grams of a sequence of symbols up to some order. One sorted list serves all orders: the n-gram that
// starts at a position is packed into an integer of 128 bits with its first symbol on top, so that a shorter
// n-gram is a prefix of a longer one and sorting by the longest sorts all.
class Ngrams {
 public:
  __extension__ using Key = unsigned __int128;

  // Of characters, up to order 6 (21 bits each).
  static Ngrams of_characters(std::u32string_view text);
  // Of word numbers, up to order 4 (32 bits each).
  static Ngrams of_words(std::span<const uint32_t> words);

  // How many n-grams of order n there are: length - n + 1, at least 0.
  size_t count(size_t n) const { return keys_.size() < n ? 0 : keys_.size() - n + 1; }

  // The matches of order n: for each distinct n-gram the smaller of its count here and its largest count in
  // one of `references`, summed.
  size_t matches(std::span<const Ngrams> references, size_t n) const;

 private:
  // One n-gram of the order asked for and how often it occurs.
  struct Run {
    Key ngram;
    size_t count;
  };
  class Runs;

  Ngrams(size_t bits, size_t length) : bits_(bits), keys_(length) {}

  size_t bits_;  // of one symbol
  std::vector<Key>
      keys_;  // sorted, one for each position; a symbol s is stored as s + 1, and 0 is "past the end"
};

}  // namespace megin::metric
