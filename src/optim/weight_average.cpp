#include "optim/weight_average.h"

#include <algorithm>

namespace megin::optim {

double average_decay(double decay, int64_t completed) {
  const auto n = static_cast<double>(completed);
  return std::min(decay, (1.0 + n) / (10.0 + n));
}

}  // namespace megin::optim
