#include "config/active_schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <vector>

#include "base/random.h"

namespace megin::config {
namespace {

// Halves to even, as Python rounds: the default of the floating-point environment.
int64_t rounded(double value) {
  return static_cast<int64_t>(std::nearbyint(value));
}

// The powers of two from `first` to `last`, and both of these.
std::vector<int64_t> doubling(int64_t first, int64_t last) {
  std::vector<int64_t> steps = {first};
  for (int64_t k = 1; k < last; k *= 2) {
    if (k > first) steps.push_back(k);
  }
  if (last > first) steps.push_back(last);
  return steps;
}

}  // namespace

int64_t first_active_experts(const RoutingConfig& routing, const ExpertConfig& experts) {
  return routing.first_active > 0 ? routing.first_active : (experts.active + 1) / 2;
}

int64_t active_experts_at(const RoutingConfig& routing, const ExpertConfig& experts, int64_t completed,
                          int64_t last_update, uint64_t seed) {
  const int64_t last = experts.active;
  const int64_t first = first_active_experts(routing, experts);
  const double total = static_cast<double>(std::max<int64_t>(1, last_update));
  const double done = static_cast<double>(completed) / total;
  const double less = static_cast<double>(first - last);
  const auto between = [&](int64_t k) { return std::clamp(k, first, last); };
  switch (routing.active_schedule) {
    case ActiveSchedule::kConstant:
      return last;
    case ActiveSchedule::kLinear:
      return between(rounded(-less * static_cast<double>(completed) / total) + first);
    case ActiveSchedule::kCosine:
      return between(rounded(less * std::cos(std::numbers::pi * done / 2)) + last);
    case ActiveSchedule::kExponential: {
      const int64_t steps = completed / std::max<int64_t>(1, last_update / 300);
      return between(rounded(less * std::pow(0.99, static_cast<double>(steps))) + last);
    }
    case ActiveSchedule::kDoubling: {
      const auto steps = doubling(first, last);
      const auto at = static_cast<size_t>(done * static_cast<double>(steps.size()));
      return steps[std::min(at, steps.size() - 1)];
    }
    case ActiveSchedule::kRandom: {
      const uint64_t key =
          draw_key(seed, Purpose::kRouting, {0x6B /* k */, static_cast<uint64_t>(completed)});
      return first + static_cast<int64_t>(draw_index(key, 0, static_cast<uint64_t>(last - first + 1)));
    }
  }
  __builtin_unreachable();
}

}  // namespace megin::config
