// Translation edit rate (Snover et al. 2006): the fewest insertions, deletions, substitutions and shifts of
// blocks found by Tercom's greedy search, per reference word. As sacreBLEU with its defaults: words are what
// white space separates, lower-cased, punctuation kept.
#pragma once

#include "metric/metric.h"

namespace megin::metric {

class Ter : public Metric {
 public:
  std::string name() const override { return "TER"; }
  std::string settings() const override { return "case:lc|tok:tercom|norm:no|punct:yes|asian:no"; }
  // Edits towards the reference that needs the fewest, and the mean length of the references.
  size_t columns() const override { return 2; }
  void segment(std::string_view hypothesis, std::span<const std::string> references,
               std::span<double> statistics) const override;
  double value(std::span<const double> totals) const override;
};

}  // namespace megin::metric
