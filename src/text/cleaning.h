// Which pairs of a corpus are worth training on, and why the others are not. Every rule is counted.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "text/corpus.h"

namespace megin::text {

// What becomes of a pair. A pair that breaks several rules is counted under the first, in this order.
// kDuplicate is never given by Cleaner: it takes the whole corpus to know (text/duplicates.h).
enum class Verdict {
  kKeep,
  kInvalidUtf8,
  kEmptySide,
  kTooShort,
  kTooLong,
  kLengthRatio,
  kIdentical,
  kNoLetters,
  kLeakage,
  kDuplicate,
};
inline constexpr size_t kVerdicts = 10;

// "keep", "invalid_utf8", ...: the key of a verdict in reports.
std::string_view verdict_name(Verdict verdict);

// The defaults suit anything from one-word user-interface labels to sentences.
struct CleaningOptions {
  size_t min_words = 1;     // on either side (count_words); 0: no limit
  size_t max_words = 250;   // on either side; 0: no limit
  size_t min_bytes = 1;     // on either side, UTF-8, after white space was normalised; 0: no limit
  size_t max_bytes = 4000;  // 0: no limit

  // Largest (longer + 10) / (shorter + 10), lengths by count_letters. The ten letters let short
  // labels differ more ("OK", "Bestätigen"). 0: no limit.
  double max_length_ratio = 2.5;

  bool drop_identical = true;   // both sides equal: left untranslated
  bool drop_no_letters = true;  // a side without any letter: only digits, punctuation, symbols
};

// How many pairs met each verdict.
class CleaningCounts {
 public:
  void add(Verdict verdict, uint64_t pairs = 1) { counts_[static_cast<size_t>(verdict)] += pairs; }
  // Moves pairs from one verdict to another: kept ones that turned out to be duplicates.
  void move(Verdict from, Verdict to, uint64_t pairs = 1);
  void add(const CleaningCounts& other);

  uint64_t operator[](Verdict verdict) const { return counts_[static_cast<size_t>(verdict)]; }
  uint64_t total() const;

 private:
  std::array<uint64_t, kVerdicts> counts_{};
};

// Normalises white space and judges pairs one at a time. Not for two threads at once. Memory: 8 bytes (and
// a set's overhead) for each forbidden source, nothing for each pair.
class Cleaner {
 public:
  explicit Cleaner(const CleaningOptions& options = {});

  // A source of a validation or test set: from now on pairs with it are leakage (compared by sentence_key).
  void forbid_source(std::string_view source);

  // Normalises the white space of both sides in place (invalid UTF-8 is left alone), so that each is one
  // line, then judges and counts the pair.
  Verdict check(Pair& pair);

  const CleaningCounts& counts() const { return counts_; }

 private:
  Verdict judge(Pair& pair) const;
  Verdict judge_lengths(const Pair& pair) const;

  CleaningOptions options_;
  std::unordered_set<uint64_t> forbidden_;
  CleaningCounts counts_;
};

}  // namespace megin::text
