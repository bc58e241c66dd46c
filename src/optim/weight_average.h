// Means of weights: a moving one over updates, and a plain one over checkpoints.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace megin::optim {

// The decay to use for the moving average in the update that follows `completed` ones: min(decay,
// (1 + completed) / (10 + completed)), so that the random weights of the start do not linger (TensorFlow's
// ExponentialMovingAverage with num_updates). The average itself is kept by Adam::update; it starts as a copy
// of the weights.
double average_decay(double decay, int64_t completed);

// The mean of several sets of weights, each seen once (checkpoint averaging), summed in double.
class WeightMean {
 public:
  explicit WeightMean(size_t size) : sums_(size) {}

  // UsageError if `weights` is of another size.
  void add(std::span<const float> weights);
  int64_t count() const { return count_; }

  // UsageError before the first add() and if `mean` is of another size.
  void write(std::span<float> mean) const;

 private:
  std::vector<double> sums_;
  int64_t count_ = 0;
};

}  // namespace megin::optim
