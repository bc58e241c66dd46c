#include "metric/mcnemar.h"

#include <algorithm>
#include <cmath>

namespace megin::metric {

double exact_mcnemar(uint64_t only_first, uint64_t only_second) {
  const double n = static_cast<double>(only_first + only_second);
  // log of (n over k) / 2^n, from k = 0 on: the binomials themselves would be beyond double.
  double log_term = -n * std::log(2.0), tail = 0;
  for (uint64_t k = 0; k <= std::min(only_first, only_second); ++k) {
    tail += std::exp(log_term);
    log_term += std::log((n - static_cast<double>(k)) / static_cast<double>(k + 1));
  }
  return std::min(1.0, 2 * tail);
}

}  // namespace megin::metric
