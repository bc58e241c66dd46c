// chrF (Popović 2015) and chrF++ (Popović 2017), as sacreBLEU computes them: F-score with beta 2 over
// character n-grams up to 6 without white space, and with word n-grams up to `word_order` (chrF++: 2).
#pragma once

#include "metric/metric.h"

namespace megin::metric {

class Chrf : public Metric {
 public:
  // 0 <= word_order <= 4, else UsageError.
  Chrf(size_t word_order, bool lowercase);

  std::string name() const override { return "chrF2" + std::string(word_order_, '+'); }
  std::string settings() const override;
  // For each character order, then each word order: n-grams of the hypothesis, of the reference, matches. Of
  // several references, those of the one with the best F-score (the first such one).
  size_t columns() const override;
  void segment(std::string_view hypothesis, std::span<const std::string> references,
               std::span<double> statistics) const override;
  double value(std::span<const double> totals) const override;

 private:
  size_t word_order_;
  bool lowercase_;
};

}  // namespace megin::metric
