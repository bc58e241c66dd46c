// Where an axis has its ticks, and what stands at them.
#pragma once

#include <string>
#include <vector>

namespace megin::report {

enum class Scale { kLinear, kLog };

struct Tick {
  double value;
  std::string label;
};

// A range of values and where they lie on it.
class Axis {
 public:
  // From `low` to `high`, both finite; on a logarithmic scale both above 0. About `ticks` of them, at 1, 2 or
  // 5 times powers of ten. `rounded` widens the range to ticks at both ends. An empty range is widened.
  Axis(double low, double high, Scale scale, int ticks, bool rounded);

  double low() const { return low_; }
  double high() const { return high_; }
  const std::vector<Tick>& ticks() const { return ticks_; }

  // 0 at the low end, 1 at the high end.
  double position(double value) const;

 private:
  void place_linear(int ticks, bool rounded);
  void place_log(int ticks, bool rounded);

  double low_, high_;
  Scale scale_;
  std::vector<Tick> ticks_;
};

}  // namespace megin::report
