#include "metric/corpus.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "metric/python_text.h"

namespace megin::metric {
namespace {

void require_utf8(std::string_view text, std::string_view what, size_t segment) {
  const size_t at = first_invalid_byte(text);
  if (at != std::string_view::npos) {
    fail("segment {}: the {} is not valid UTF-8 at byte {}; convert it to UTF-8", segment, what, at + 1);
  }
}

}  // namespace

Corpus::Corpus(const Metric& metric, Keep keep)
    : metric_(&metric), keep_(keep), totals_(metric.columns()), current_(metric.columns()) {}

void Corpus::add(std::string_view hypothesis, std::span<const std::string> references) {
  if (references.empty()) fail_usage("segment {}: wanted at least one reference, found none", size_ + 1);
  require_utf8(hypothesis, "hypothesis", size_ + 1);
  for (const std::string& reference : references) require_utf8(reference, "reference", size_ + 1);

  metric_->segment(hypothesis, references, current_);
  for (size_t i = 0; i < totals_.size(); ++i) totals_[i] += current_[i];
  if (keep_ == Keep::kSegments) segments_.insert(segments_.end(), current_.begin(), current_.end());

  fewest_references_ = size_ == 0 ? references.size() : std::min(fewest_references_, references.size());
  most_references_ = std::max(most_references_, references.size());
  ++size_;
}

Score Corpus::score() const {
  if (size_ == 0) fail("{}: wanted at least one segment to score, found none", metric_->name());
  return {metric_->name(), metric_->value(totals_),
          fmt::format("nrefs:{}|{}|version:{}", reference_count(), metric_->settings(), kSacrebleuVersion),
          metric_->verbose(totals_)};
}

std::span<const double> Corpus::segment(size_t i) const {
  const size_t columns = totals_.size();
  return std::span(segments_).subspan(i * columns, columns);
}

std::string Corpus::reference_count() const {
  return fewest_references_ == most_references_ ? std::to_string(most_references_) : "var";
}

}  // namespace megin::metric
