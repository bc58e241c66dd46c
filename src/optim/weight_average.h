// The moving average of weights over updates. The mean of checkpoints is store/averaging.h.
#pragma once

#include <cstdint>

namespace megin::optim {

// The decay to use for the moving average in the update that follows `completed` ones: min(decay,
// (1 + completed) / (10 + completed)), so that the random weights of the start do not linger (TensorFlow's
// ExponentialMovingAverage with num_updates). The average itself is kept by Adam::update; it starts as a copy
// of the weights.
double average_decay(double decay, int64_t completed);

}  // namespace megin::optim
