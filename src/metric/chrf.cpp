#include "metric/chrf.h"

#include <fmt/format.h>

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "metric/ngrams.h"
#include "metric/python_text.h"

namespace megin::metric {
namespace {

constexpr size_t kCharacterOrder = 6;
constexpr double kBetaSquared = 4;

std::u32string without_space(std::string_view line) {
  std::u32string points = code_points(line);
  std::erase_if(points, is_python_space);
  return points;
}

// Python's string.punctuation.
bool is_ascii_punctuation(char c) {
  return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') || (c >= '{' && c <= '~');
}

bool is_one_character(std::string_view word) {
  return std::count_if(word.begin(), word.end(), [](char c) { return (c & 0xC0) != 0x80; }) == 1;
}

// Words, with one punctuation mark taken off: the last character if it is one, else the first ("(hi)" becomes
// "(hi" and ")", as in sacreBLEU).
std::vector<std::string_view> words_of(std::string_view line) {
  std::vector<std::string_view> words;
  for (const std::string_view word : split(line)) {
    size_t cut = 0;
    if (!is_one_character(word)) {
      if (is_ascii_punctuation(word.back())) {
        cut = word.size() - 1;
      } else if (is_ascii_punctuation(word.front())) {
        cut = 1;
      }
    }
    if (cut > 0) words.push_back(word.substr(0, cut));
    words.push_back(word.substr(cut));
  }
  return words;
}

struct Profile {
  Ngrams characters;
  Ngrams words;
};

// Writes the hypothesis's count, the reference's and the matches of the orders 1 to `orders`.
double* write_counts(const Ngrams& hypothesis, const Ngrams& reference, size_t orders, double* out) {
  for (size_t n = 1; n <= orders; ++n) {
    const size_t in_reference = reference.count(n);
    // As sacreBLEU: where the reference has no n-gram of this order, the hypothesis's do not count.
    *out++ = in_reference > 0 ? static_cast<double>(hypothesis.count(n)) : 0;
    *out++ = static_cast<double>(in_reference);
    *out++ = static_cast<double>(hypothesis.matches({&reference, 1}, n));
  }
  return out;
}

// The order of the operations is sacreBLEU's, so that ties between references fall the same way.
double f_score(std::span<const double> counts) {
  double precision = 0, recall = 0;
  size_t orders = 0;
  for (size_t i = 0; i < counts.size(); i += 3) {
    const double in_hypothesis = counts[i], in_reference = counts[i + 1], matches = counts[i + 2];
    if (in_hypothesis > 0 && in_reference > 0) {
      precision += matches / in_hypothesis;
      recall += matches / in_reference;
      ++orders;
    }
  }
  if (orders == 0) return 0;
  precision /= static_cast<double>(orders);
  recall /= static_cast<double>(orders);
  if (precision + recall == 0) return 0;
  double score = (1 + kBetaSquared) * precision * recall;
  score /= kBetaSquared * precision + recall;
  return 100 * score;
}

}  // namespace

Chrf::Chrf(size_t word_order, bool lowercase) : word_order_(word_order), lowercase_(lowercase) {
  if (word_order > 4) fail_usage("chrF wants a word order of 0 to 4, found {}", word_order);
}

std::string Chrf::settings() const {
  return fmt::format("case:{}|eff:yes|nc:{}|nw:{}|space:no", lowercase_ ? "lc" : "mixed", kCharacterOrder,
                     word_order_);
}

size_t Chrf::columns() const {
  return 3 * (kCharacterOrder + word_order_);
}

void Chrf::segment(std::string_view hypothesis, std::span<const std::string> references,
                   std::span<double> statistics) const {
  std::vector<std::string> lines{std::string(hypothesis)};
  lines.insert(lines.end(), references.begin(), references.end());
  WordNumbers numbers;
  std::vector<Profile> profiles;
  for (std::string& line : lines) {
    if (lowercase_) line = lower(line);
    const auto words = word_order_ > 0 ? numbers(words_of(line)) : std::vector<uint32_t>();
    profiles.push_back({Ngrams::of_characters(without_space(line)), Ngrams::of_words(words)});
  }

  double best = -1;
  std::vector<double> counts(columns());
  for (size_t r = 1; r < profiles.size(); ++r) {
    double* rest =
        write_counts(profiles[0].characters, profiles[r].characters, kCharacterOrder, counts.data());
    write_counts(profiles[0].words, profiles[r].words, word_order_, rest);
    const double score = f_score(counts);
    if (score > best) {
      best = score;
      std::copy(counts.begin(), counts.end(), statistics.begin());
    }
  }
}

double Chrf::value(std::span<const double> totals) const {
  return f_score(totals);
}

}  // namespace megin::metric
