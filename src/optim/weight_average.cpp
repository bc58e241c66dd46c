#include "optim/weight_average.h"

#include <algorithm>

#include "base/error.h"

namespace megin::optim {

double average_decay(double decay, int64_t completed) {
  const auto n = static_cast<double>(completed);
  return std::min(decay, (1.0 + n) / (10.0 + n));
}

void WeightMean::add(std::span<const float> weights) {
  if (weights.size() != sums_.size()) {
    fail_usage("cannot average {} weights with {} others", weights.size(), sums_.size());
  }
  for (size_t i = 0; i < weights.size(); ++i) sums_[i] += weights[i];
  ++count_;
}

void WeightMean::write(std::span<float> mean) const {
  if (count_ == 0) fail_usage("there is no mean of no weights");
  if (mean.size() != sums_.size()) fail_usage("the mean has {} weights, not {}", sums_.size(), mean.size());
  for (size_t i = 0; i < mean.size(); ++i)
    mean[i] = static_cast<float>(sums_[i] / static_cast<double>(count_));
}

}  // namespace megin::optim
