#include "base/random.h"

#include <cmath>
#include <numbers>

namespace megin {

double draw_normal(uint64_t key, uint64_t counter) {
  // 1 - u keeps the logarithm's argument in (0, 1].
  const double u = 1.0 - draw_uniform(key, 2 * counter);
  const double v = draw_uniform(key, 2 * counter + 1);
  return std::sqrt(-2.0 * std::log(u)) * std::cos(2.0 * std::numbers::pi * v);
}

}  // namespace megin
