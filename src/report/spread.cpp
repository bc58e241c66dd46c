#include "report/spread.h"

#include <cmath>

namespace megin::report {

double Spread::deviation() const {
  return std::sqrt(variance);
}

Spread spread_of(std::span<const double> values) {
  Spread spread{.count = values.size()};
  if (values.empty()) return spread;
  double sum = 0, squares = 0;
  for (const double value : values) sum += value;
  spread.mean = sum / static_cast<double>(values.size());
  for (const double value : values) squares += (value - spread.mean) * (value - spread.mean);
  if (values.size() > 1) spread.variance = squares / static_cast<double>(values.size() - 1);
  return spread;
}

}  // namespace megin::report
