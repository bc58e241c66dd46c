// How far a few numbers lie apart: results of one training over several seeds.
#pragma once

#include <cstddef>
#include <span>

namespace megin::report {

struct Spread {
  size_t count = 0;
  double mean = 0;
  double variance = 0;  // over n - 1; 0 of a single number

  double deviation() const;  // the root of the variance
};

// Of no number at all every field is 0.
Spread spread_of(std::span<const double> values);

}  // namespace megin::report
