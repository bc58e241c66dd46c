#include "metric/bleu.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "metric/ngrams.h"
#include "metric/python_text.h"

namespace megin::metric {
namespace {

constexpr size_t kOrder = 4;

bool takes_value(Smoothing smoothing) {
  return smoothing == Smoothing::kFloor || smoothing == Smoothing::kAddK;
}

// The names of a segment's numbers, or of their sums.
struct Counts {
  explicit Counts(std::span<const double> totals)
      : hypothesis_length(totals[0]), reference_length(totals[1]) {
    std::copy_n(totals.begin() + 2, kOrder, matches.begin());
    std::copy_n(totals.begin() + 2 + kOrder, kOrder, ngrams.begin());
  }

  double brevity_penalty() const {
    if (hypothesis_length >= reference_length) return 1;
    return hypothesis_length > 0 ? std::exp(1 - reference_length / hypothesis_length) : 0;
  }
  bool any_match() const {
    return std::any_of(matches.begin(), matches.end(), [](double m) { return m > 0; });
  }

  double hypothesis_length, reference_length;
  std::array<double, kOrder> matches{}, ngrams{};
};

struct Precisions {
  std::array<double, kOrder> percent{};
  size_t orders = kOrder;  // how many of them the mean is over
};

// What sacreBLEU's compute_bleu does; the order of the operations is its order, so that the rounding is too.
Precisions smoothed_precisions(Counts counts, const MetricOptions& options, double smoothing_value) {
  Precisions precisions;
  if (!counts.any_match()) return precisions;
  double divisor = 1;
  for (size_t n = 0; n < kOrder; ++n) {
    if (options.smoothing == Smoothing::kAddK && n > 0) {
      counts.matches[n] += smoothing_value;
      counts.ngrams[n] += smoothing_value;
    }
    if (counts.ngrams[n] == 0) break;
    if (options.effective_order) precisions.orders = n + 1;
    if (counts.matches[n] > 0) {
      precisions.percent[n] = 100. * counts.matches[n] / counts.ngrams[n];
    } else if (options.smoothing == Smoothing::kExp) {
      divisor *= 2;
      precisions.percent[n] = 100. / (divisor * counts.ngrams[n]);
    } else if (options.smoothing == Smoothing::kFloor) {
      precisions.percent[n] = 100. * smoothing_value / counts.ngrams[n];
    }
  }
  return precisions;
}

// The reference length closest to the hypothesis's; the shorter of two.
size_t closest_length(size_t length, const std::vector<size_t>& reference_lengths) {
  const auto distance = [length](size_t other) { return length > other ? length - other : other - length; };
  return *std::min_element(reference_lengths.begin(), reference_lengths.end(), [&](size_t a, size_t b) {
    return distance(a) != distance(b) ? distance(a) < distance(b) : a < b;
  });
}

}  // namespace

Bleu::Bleu(const MetricOptions& options) : options_(options) {
  if (options.smoothing_value && !takes_value(options.smoothing)) {
    fail_usage("BLEU smoothing '{}' takes no value, found {}; only floor and add-k do",
               name_of(options.smoothing), *options.smoothing_value);
  }
  smoothing_value_ = options.smoothing_value.value_or(options.smoothing == Smoothing::kFloor ? 0.1 : 1.0);
  if (!(smoothing_value_ >= 0))
    fail_usage("wanted a smoothing value of 0 or more, found {}", smoothing_value_);
}

std::string Bleu::settings() const {
  std::string smoothing(name_of(options_.smoothing));
  if (takes_value(options_.smoothing)) smoothing += fmt::format("[{:.2f}]", smoothing_value_);
  return fmt::format("case:{}|eff:{}|tok:{}|smooth:{}", options_.lowercase ? "lc" : "mixed",
                     options_.effective_order ? "yes" : "no", name_of(options_.tokenization), smoothing);
}

std::string Bleu::prepare(std::string_view line) const {
  if (!options_.lowercase) return tokenize(options_.tokenization, strip_right(line));
  const std::string lowered = lower(line);
  return tokenize(options_.tokenization, strip_right(lowered));
}

void Bleu::segment(std::string_view hypothesis, std::span<const std::string> references,
                   std::span<double> statistics) const {
  // The prepared texts are kept, because the word numbers hold views into them.
  std::vector<std::string> prepared;
  prepared.reserve(references.size() + 1);
  prepared.push_back(prepare(hypothesis));
  for (const std::string& reference : references) prepared.push_back(prepare(reference));

  WordNumbers numbers;
  std::vector<Ngrams> ngrams;
  std::vector<size_t> lengths;
  for (const std::string& text : prepared) {
    ngrams.push_back(Ngrams::of_words(numbers(split(text))));
    lengths.push_back(ngrams.back().count(1));
  }
  statistics[0] = static_cast<double>(lengths.front());
  statistics[1] = static_cast<double>(closest_length(lengths.front(), {lengths.begin() + 1, lengths.end()}));
  const std::span<const Ngrams> of_references(ngrams.begin() + 1, ngrams.end());
  for (size_t n = 1; n <= kOrder; ++n) {
    statistics[1 + n] = static_cast<double>(ngrams.front().matches(of_references, n));
    statistics[1 + kOrder + n] = static_cast<double>(ngrams.front().count(n));
  }
}

double Bleu::value(std::span<const double> totals) const {
  const Counts counts(totals);
  if (!counts.any_match()) return 0;
  const Precisions precisions = smoothed_precisions(counts, options_, smoothing_value_);
  double logarithms = 0;
  for (size_t n = 0; n < precisions.orders; ++n) {
    const double percent = precisions.percent[n];
    logarithms += percent == 0 ? -9999999999. : std::log(percent);
  }
  return counts.brevity_penalty() * std::exp(logarithms / static_cast<double>(precisions.orders));
}

std::string Bleu::verbose(std::span<const double> totals) const {
  const Counts counts(totals);
  const auto& percent = smoothed_precisions(counts, options_, smoothing_value_).percent;
  const double ratio = counts.reference_length > 0 ? counts.hypothesis_length / counts.reference_length : 0;
  return fmt::format(
      "{:.1f}/{:.1f}/{:.1f}/{:.1f} (BP = {:.3f} ratio = {:.3f} hyp_len = {:.0f} ref_len = {:.0f})",
      percent[0], percent[1], percent[2], percent[3], counts.brevity_penalty(), ratio,
      counts.hypothesis_length, counts.reference_length);
}

}  // namespace megin::metric
