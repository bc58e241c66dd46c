#include "report/axis.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/human_text.h"

namespace megin::report {
namespace {

// The smallest of 1, 2, 5 times a power of ten that is not below `step`.
double round_step(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= step * (1 - 1e-9)) return factor * power;
  }
  return 10 * power;
}

// With as many decimals as the step has, digits grouped; very small and large ones with a
// power.
std::string label_of(double value, double step) {
  const double size = std::abs(value);
  if (size < step * 1e-6) return "0";
  if (size >= 1e9 || size < 1e-4) return fmt::format("{:.3g}", value);
  const int decimals = std::max(0, static_cast<int>(std::ceil(-std::log10(step) - 1e-9)));
  if (decimals == 0 && size >= 1e3) return grouped(std::llround(value));
  return fmt::format("{:.{}f}", value, decimals);
}

double transformed(double value, Scale scale) {
  return scale == Scale::kLog ? std::log10(value) : value;
}

}  // namespace

Axis::Axis(double low, double high, Scale scale, int ticks, bool rounded)
    : low_(low), high_(high), scale_(scale) {
  if (scale_ == Scale::kLog) {
    if (low_ == high_) low_ /= 2, high_ *= 2;
    place_log(ticks, rounded);
  } else {
    const double margin = low_ == 0 ? 1 : std::abs(low_) / 10;
    if (low_ == high_) low_ -= margin, high_ += margin;
    place_linear(ticks, rounded);
  }
}

double Axis::position(double value) const {
  const double low = transformed(low_, scale_), high = transformed(high_, scale_);
  return (transformed(value, scale_) - low) / (high - low);
}

void Axis::place_linear(int ticks, bool rounded) {
  const double step = round_step((high_ - low_) / ticks);
  if (rounded) {
    low_ = step * std::floor(low_ / step + 1e-9);
    high_ = step * std::ceil(high_ / step - 1e-9);
  }
  // Whole multiples: sums of steps would drift.
  const auto first = static_cast<int64_t>(std::ceil(low_ / step - 1e-9));
  const auto last = static_cast<int64_t>(std::floor(high_ / step + 1e-9));
  for (int64_t i = first; i <= last; ++i) {
    const double value = static_cast<double>(i) * step;
    ticks_.push_back({value, label_of(value, step)});
  }
}

// Powers of ten, thinned out if there are many; 1, 2 and 5 times them if there are few.
void Axis::place_log(int ticks, bool rounded) {
  const double decades = std::log10(high_ / low_);
  const bool fine = decades < ticks / 2.0;
  const auto every = static_cast<int>(std::max(1.0, std::ceil(decades / ticks)));
  std::vector<double> candidates;
  for (int power = static_cast<int>(std::floor(std::log10(low_))) - 1; power <= std::log10(high_) + 1;
       ++power) {
    if (power % every != 0) continue;
    for (const double factor : {1.0, 2.0, 5.0}) {
      if (factor == 1.0 || fine) candidates.push_back(factor * std::pow(10.0, power));
    }
  }
  constexpr double kSlack = 1e-9;
  if (rounded) {
    for (auto it = candidates.rbegin(); it != candidates.rend(); ++it) {
      if (*it > low_ * (1 + kSlack)) continue;
      low_ = *it;
      break;
    }
    const auto above = std::find_if(candidates.begin(), candidates.end(),
                                    [&](double value) { return value >= high_ * (1 - kSlack); });
    if (above != candidates.end()) high_ = *above;
  }
  for (const double value : candidates) {
    if (value < low_ * (1 - kSlack) || value > high_ * (1 + kSlack)) continue;
    ticks_.push_back({value, label_of(value, std::pow(10.0, std::floor(std::log10(value) + kSlack)))});
  }
}

}  // namespace megin::report
