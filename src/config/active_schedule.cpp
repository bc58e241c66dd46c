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

struct Draw {
  uint64_t seed = 1;
  int64_t completed = 0;
  int64_t layer = 0;
};

// One of `first` to `last`, each alike.
int64_t drawn(int64_t first, int64_t last, const Draw& draw) {
  const uint64_t key =
      draw_key(draw.seed, Purpose::kRouting, {0x6B /* k */, static_cast<uint64_t>(draw.completed)});
  return first + static_cast<int64_t>(draw_index(key, static_cast<uint64_t>(draw.layer),
                                                 static_cast<uint64_t>(last - first + 1)));
}

bool is_anchored(const RoutingConfig& routing, int64_t completed, uint64_t seed) {
  if (routing.anchor <= 0) return false;
  const uint64_t key = draw_key(seed, Purpose::kRouting, {0x616E /* an */, static_cast<uint64_t>(completed)});
  return draw_uniform(key, 0) < routing.anchor;
}

}  // namespace

bool is_as_long_as_run(ActiveSchedule schedule) {
  switch (schedule) {
    case ActiveSchedule::kLinear:
    case ActiveSchedule::kCosine:
    case ActiveSchedule::kExponential:
    case ActiveSchedule::kDoubling:
      return true;
    case ActiveSchedule::kConstant:
    case ActiveSchedule::kRandom:
    case ActiveSchedule::kRandomByLayer:
      return false;
  }
  __builtin_unreachable();
}

int64_t first_active_experts(const RoutingConfig& routing, const ExpertConfig& experts) {
  return routing.first_active > 0 ? routing.first_active : (experts.active + 1) / 2;
}

int64_t active_experts_at(const RoutingConfig& routing, const ExpertConfig& experts, int64_t completed,
                          int64_t last_update, uint64_t seed) {
  const int64_t last = experts.active;
  const int64_t first = first_active_experts(routing, experts);
  if (is_anchored(routing, completed, seed)) return first;
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
    case ActiveSchedule::kRandom:
    case ActiveSchedule::kRandomByLayer:
      return drawn(first, last, {.seed = seed, .completed = completed});
  }
  __builtin_unreachable();
}

std::vector<int64_t> active_by_layer_at(const RoutingConfig& routing, const ExpertConfig& experts,
                                        int64_t completed, int64_t last, uint64_t seed, int64_t layers) {
  const bool by_layer =
      routing.active_schedule == ActiveSchedule::kRandomByLayer && !is_anchored(routing, completed, seed);
  if (!by_layer) return {active_experts_at(routing, experts, completed, last, seed)};
  std::vector<int64_t> numbers;
  for (int64_t layer = 0; layer < layers; ++layer) {
    numbers.push_back(drawn(first_active_experts(routing, experts), experts.active,
                            {.seed = seed, .completed = completed, .layer = layer}));
  }
  return numbers;
}

}  // namespace megin::config
