#include "text/cleaning.h"

#include <algorithm>
#include <numeric>

#include "text/unicode.h"

namespace megin::text {
namespace {

constexpr std::array<std::string_view, kVerdicts> kNames = {
    "keep",         "invalid_utf8", "empty_side", "too_short", "too_long",
    "length_ratio", "identical",    "no_letters", "leakage",   "duplicate"};
constexpr double kShortLabelLetters = 10.0;

}  // namespace

std::string_view verdict_name(Verdict verdict) {
  return kNames[static_cast<size_t>(verdict)];
}

void CleaningCounts::move(Verdict from, Verdict to, uint64_t pairs) {
  counts_[static_cast<size_t>(from)] -= pairs;
  counts_[static_cast<size_t>(to)] += pairs;
}

void CleaningCounts::add(const CleaningCounts& other) {
  for (size_t i = 0; i < kVerdicts; ++i) counts_[i] += other.counts_[i];
}

uint64_t CleaningCounts::total() const {
  return std::accumulate(counts_.begin(), counts_.end(), uint64_t{0});
}

Cleaner::Cleaner(const CleaningOptions& options) : options_(options) {}

void Cleaner::forbid_source(std::string_view source) {
  forbidden_.insert(sentence_key(source));
}

Verdict Cleaner::check(Pair& pair) {
  const Verdict verdict = judge(pair);
  counts_.add(verdict);
  return verdict;
}

Verdict Cleaner::judge(Pair& pair) const {
  if (!is_valid_utf8(pair.source) || !is_valid_utf8(pair.target)) return Verdict::kInvalidUtf8;
  pair.source = normalise_whitespace(pair.source);
  pair.target = normalise_whitespace(pair.target);
  if (pair.source.empty() || pair.target.empty()) return Verdict::kEmptySide;
  if (const Verdict verdict = judge_lengths(pair); verdict != Verdict::kKeep) return verdict;
  if (options_.drop_identical && pair.source == pair.target) return Verdict::kIdentical;
  if (options_.drop_no_letters && !(has_letter(pair.source) && has_letter(pair.target)))
    return Verdict::kNoLetters;
  if (!forbidden_.empty() && forbidden_.contains(sentence_key(pair.source))) return Verdict::kLeakage;
  return Verdict::kKeep;
}

Verdict Cleaner::judge_lengths(const Pair& pair) const {
  if (std::min(pair.source.size(), pair.target.size()) < options_.min_bytes) return Verdict::kTooShort;
  const size_t most_bytes = std::max(pair.source.size(), pair.target.size());
  if (options_.max_bytes > 0 && most_bytes > options_.max_bytes) return Verdict::kTooLong;
  const size_t source_words = count_words(pair.source);
  const size_t target_words = count_words(pair.target);
  if (std::min(source_words, target_words) < options_.min_words) return Verdict::kTooShort;
  if (options_.max_words > 0 && std::max(source_words, target_words) > options_.max_words)
    return Verdict::kTooLong;
  if (options_.max_length_ratio <= 0.0) return Verdict::kKeep;
  const double source = static_cast<double>(count_letters(pair.source)) + kShortLabelLetters;
  const double target = static_cast<double>(count_letters(pair.target)) + kShortLabelLetters;
  const double ratio = std::max(source, target) / std::min(source, target);
  return ratio > options_.max_length_ratio ? Verdict::kLengthRatio : Verdict::kKeep;
}

}  // namespace megin::text
