#include "store/sinusoid.h"

#include <algorithm>
#include <cmath>

namespace megin::store {

std::vector<float> sinusoidal_positions(int64_t count, int64_t width) {
  constexpr int64_t kFirst = 2;  // fairseq counts from behind the padding symbol
  const int64_t half = width / 2;
  std::vector<float> table(static_cast<size_t>(count * width));
  for (int64_t p = 0; p < count; ++p) {
    for (int64_t k = 0; k < half; ++k) {
      const double frequency = std::exp(-static_cast<double>(k) * std::log(10000.0) /
                                        static_cast<double>(std::max<int64_t>(1, half - 1)));
      const double angle = static_cast<double>(p + kFirst) * frequency;
      table[static_cast<size_t>(p * width + k)] = static_cast<float>(std::sin(angle));
      table[static_cast<size_t>(p * width + half + k)] = static_cast<float>(std::cos(angle));
    }
  }
  return table;
}

}  // namespace megin::store
