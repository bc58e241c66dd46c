#include "routing/routed_rows.h"

namespace megin::routing {

std::vector<int64_t> routed_rows(const RouteRequest& request) {
  const int64_t rows = request.hidden.size(0);
  std::vector<int64_t> routed;
  routed.reserve(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) {
    const bool token = request.lengths.empty() ||
                       row % request.length < request.lengths[static_cast<size_t>(row / request.length)];
    if (token) routed.push_back(row);
  }
  return routed;
}

}  // namespace megin::routing
