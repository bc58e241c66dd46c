#include "config/position_buckets.h"

#include <algorithm>
#include <cmath>

namespace megin::config {

int64_t position_bucket(const ModelConfig& config, Stack stack, int64_t offset) {
  const bool both_sides = stack == Stack::kEncoder;
  const int64_t buckets = both_sides ? config.position_buckets / 2 : config.position_buckets;
  const int64_t first = both_sides && offset > 0 ? buckets : 0;
  const int64_t distance = both_sides ? std::abs(offset) : std::max<int64_t>(0, -offset);
  const int64_t exact = buckets / 2;
  if (distance < exact) return first + distance;
  const auto limit = static_cast<double>(config.position_distance);
  const auto reach = static_cast<float>(std::log(limit / static_cast<double>(exact)));
  const float share = std::log(static_cast<float>(distance) / static_cast<float>(exact)) / reach;
  const auto beyond = static_cast<int64_t>(share * static_cast<float>(buckets - exact));
  return first + std::min(exact + beyond, buckets - 1);
}

std::vector<int64_t> position_buckets(const ModelConfig& config, Stack stack, int64_t first, int64_t last) {
  std::vector<int64_t> buckets;
  for (int64_t offset = first; offset <= last; ++offset) {
    buckets.push_back(position_bucket(config, stack, offset));
  }
  return buckets;
}

}  // namespace megin::config
