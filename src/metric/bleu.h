// BLEU (Papineni et al. 2002), as sacreBLEU computes it (Post 2018).
//
// With the tokeniser "none" and no smoothing it is multi-bleu.perl's number: whitespace tokens, 4-grams, the
// closest reference length (the shorter of two equally close ones), brevity penalty from the summed lengths.
#pragma once

#include "metric/metric.h"

namespace megin::metric {

class Bleu : public Metric {
 public:
  // Throws UsageError for a smoothing value below 0, or one that the method does not take.
  explicit Bleu(const MetricOptions& options);

  std::string name() const override { return "BLEU"; }
  std::string settings() const override;
  // Hypothesis length, closest reference length, then matches and n-grams of the orders 1 to 4.
  size_t columns() const override { return 10; }
  void segment(std::string_view hypothesis, std::span<const std::string> references,
               std::span<double> statistics) const override;
  double value(std::span<const double> totals) const override;
  std::string verbose(std::span<const double> totals) const override;

 private:
  std::string prepare(std::string_view line) const;

  MetricOptions options_;
  double smoothing_value_ = 0;
};

}  // namespace megin::metric
