#include "metric/routing_fluctuation.h"

#include <algorithm>

namespace megin::metric {

std::vector<int64_t> last_fluctuations(std::span<const std::vector<uint16_t>> routes) {
  if (routes.empty()) return {};
  std::vector<int64_t> last(routes.back().size(), -1);
  for (size_t token = 0; token < last.size(); ++token) {
    for (size_t snapshot = routes.size(); snapshot-- > 0;) {
      if (routes[snapshot][token] == routes.back()[token]) continue;
      last[token] = static_cast<int64_t>(snapshot);
      break;
    }
  }
  return last;
}

double share_fluctuating_beyond(std::span<const int64_t> fluctuations, std::span<const int64_t> updates,
                                double share) {
  if (fluctuations.empty()) return 0;
  const double border = share * static_cast<double>(updates.back());
  const auto beyond = std::ranges::count_if(fluctuations, [&](int64_t snapshot) {
    return snapshot >= 0 && static_cast<double>(updates[static_cast<size_t>(snapshot)]) > border;
  });
  return static_cast<double>(beyond) / static_cast<double>(fluctuations.size());
}

}  // namespace megin::metric
