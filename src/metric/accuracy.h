// The share of right answers, and how sure that is.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>

namespace megin::metric {

struct Interval {
  double low = 0, high = 0;
};

// Counts of parts may be added. Of nothing all shares are NaN.
struct Accuracy {
  uint64_t right = 0;
  uint64_t all = 0;

  Accuracy& operator+=(const Accuracy& other) {
    right += other.right;
    all += other.all;
    return *this;
  }

  // From 0 to 1.
  double share() const {
    return all == 0 ? std::numeric_limits<double>::quiet_NaN()
                    : static_cast<double>(right) / static_cast<double>(all);
  }

  // Where the share of right answers to all such questions lies with a confidence of 95 % (E. B. Wilson
  // 1927): those shares p from which the one found differs by at most z deviations sqrt(p (1 - p) / all).
  Interval wilson() const {
    constexpr double kZ = 1.959963984540054;  // of the normal distribution, 0.975
    const double n = static_cast<double>(all), p = share(), z2 = kZ * kZ;
    const double middle = (p + z2 / (2 * n)) / (1 + z2 / n);
    const double reach = kZ * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n)) / (1 + z2 / n);
    return {middle - reach, middle + reach};
  }
};

}  // namespace megin::metric
