#include "optim/schedule.h"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace megin::optim {
namespace {

// From the peak down to the minimum: by what share of the way, when `done` of the time after the warm-up is.
template <typename Share>
double fall(const config::OptimizerConfig& config, int64_t completed, int64_t last, Share share) {
  const int64_t length = last - config.warmup;
  if (completed >= last || length <= 0) return config.minimum_learning_rate;
  const double done = static_cast<double>(completed - config.warmup) / static_cast<double>(length);
  const double height = config.learning_rate - config.minimum_learning_rate;
  return config.learning_rate - height * share(done);
}

}  // namespace

double learning_rate(const config::OptimizerConfig& config, int64_t completed, int64_t last) {
  if (completed < config.warmup) {
    const double done = static_cast<double>(completed) / static_cast<double>(config.warmup);
    return config.warmup_start + done * (config.learning_rate - config.warmup_start);
  }
  switch (config.schedule) {
    case config::ScheduleKind::kInverseSqrt: {
      const auto warmup = static_cast<double>(std::max<int64_t>(config.warmup, 1));
      return config.learning_rate * std::sqrt(warmup / static_cast<double>(std::max<int64_t>(completed, 1)));
    }
    case config::ScheduleKind::kCosine:
      return fall(config, completed, last,
                  [](double done) { return 0.5 - 0.5 * std::cos(std::numbers::pi * done); });
    case config::ScheduleKind::kLinear:
      return fall(config, completed, last, [](double done) { return done; });
    case config::ScheduleKind::kConstant:
      return config.learning_rate;
  }
  return config.learning_rate;
}

}  // namespace megin::optim
