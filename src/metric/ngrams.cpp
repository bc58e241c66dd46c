#include "metric/ngrams.h"

#include <algorithm>
#include <optional>

namespace megin::metric {

std::vector<uint32_t> WordNumbers::operator()(std::span<const std::string_view> words) {
  std::vector<uint32_t> numbers;
  numbers.reserve(words.size());
  for (const std::string_view word : words) {
    numbers.push_back(numbers_.emplace(word, static_cast<uint32_t>(numbers_.size())).first->second);
  }
  return numbers;
}

// Walks the distinct n-grams of one order from the smallest up.
class Ngrams::Runs {
 public:
  Runs(const Ngrams& ngrams, size_t n)
      : keys_(ngrams.keys_),
        tail_(128 - ngrams.bits_ * n),
        last_symbol_(((Key(1) << ngrams.bits_) - 1) << tail_) {}

  std::optional<Run> next() {
    // An n-gram that runs past the end has nothing in its last place.
    while (at_ < keys_.size() && (keys_[at_] & last_symbol_) == 0) ++at_;
    if (at_ == keys_.size()) return std::nullopt;
    const Key ngram = keys_[at_] >> tail_;
    const size_t start = at_;
    while (at_ < keys_.size() && keys_[at_] >> tail_ == ngram) ++at_;
    return Run{ngram, at_ - start};
  }

 private:
  const std::vector<Key>& keys_;
  size_t tail_;  // bits behind the n-gram
  Key last_symbol_;
  size_t at_ = 0;
};

Ngrams Ngrams::of_characters(std::u32string_view text) {
  constexpr size_t kBits = 21;
  Ngrams ngrams(kBits, text.size());
  // From the end: a position's key is its own symbol in front of its right neighbour's key. What is shifted
  // out at the bottom is cleared, lest more than six characters be compared.
  constexpr Key kSixSymbols = ~Key(0) << (128 - 6 * kBits);
  Key key = 0;
  for (size_t i = text.size(); i-- > 0;) {
    key = (Key(text[i] + 1) << (128 - kBits)) | ((key >> kBits) & kSixSymbols);
    ngrams.keys_[i] = key;
  }
  std::sort(ngrams.keys_.begin(), ngrams.keys_.end());
  return ngrams;
}

Ngrams Ngrams::of_words(std::span<const uint32_t> words) {
  constexpr size_t kBits = 32;
  Ngrams ngrams(kBits, words.size());
  Key key = 0;
  for (size_t i = words.size(); i-- > 0;) {
    key = (Key(words[i] + 1) << (128 - kBits)) | (key >> kBits);
    ngrams.keys_[i] = key;
  }
  std::sort(ngrams.keys_.begin(), ngrams.keys_.end());
  return ngrams;
}

size_t Ngrams::matches(std::span<const Ngrams> references, size_t n) const {
  struct Cursor {
    Runs runs;
    std::optional<Run> run;
  };
  std::vector<Cursor> cursors;
  cursors.reserve(references.size());
  for (const Ngrams& reference : references) {
    cursors.push_back({Runs(reference, n), std::nullopt});
    cursors.back().run = cursors.back().runs.next();
  }
  size_t total = 0;
  Runs own(*this, n);
  while (const std::optional<Run> run = own.next()) {
    size_t most = 0;
    for (Cursor& cursor : cursors) {
      while (cursor.run && cursor.run->ngram < run->ngram) cursor.run = cursor.runs.next();
      if (cursor.run && cursor.run->ngram == run->ngram) most = std::max(most, cursor.run->count);
    }
    total += std::min(run->count, most);
  }
  return total;
}

}  // namespace megin::metric
