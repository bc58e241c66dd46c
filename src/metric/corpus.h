// The score of a corpus, segment by segment as it is read.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "metric/metric.h"

namespace megin::metric {

// Sums a metric's numbers over segments:
//
//   const auto metric = make_metric("bleu");
//   Corpus corpus(*metric);
//   for (...) corpus.add(hypothesis, references);
//   std::cout << format_score(corpus.score(), 1);
//
// For one thread; the metric may be shared. Memory is constant, or columns() numbers a segment with
// kSegments.
class Corpus {
 public:
  enum class Keep {
    kTotals,
    kSegments,  // also the numbers of each segment, for metric/bootstrap.h
  };

  // `metric` must outlive it.
  explicit Corpus(const Metric& metric, Keep keep = Keep::kTotals);

  // Adds a segment. Throws Error that names the segment (from 1) when a text is not valid UTF-8, and
  // UsageError when there is no reference. Segments may have different numbers of references ("nrefs:var").
  void add(std::string_view hypothesis, std::span<const std::string> references);

  // Of everything added so far. Throws Error when that is nothing.
  Score score() const;

  const Metric& metric() const { return *metric_; }
  size_t size() const { return size_; }
  // The numbers of segment i [metric().columns()]. Only with Keep::kSegments.
  std::span<const double> segment(size_t i) const;
  // What the signature says of the references: "1", "2", ... or "var".
  std::string reference_count() const;

 private:
  const Metric* metric_;
  Keep keep_;
  size_t size_ = 0;
  size_t fewest_references_ = 0, most_references_ = 0;
  std::vector<double> totals_;    // [columns]
  std::vector<double> current_;   // [columns]
  std::vector<double> segments_;  // [size, columns]
};

}  // namespace megin::metric
