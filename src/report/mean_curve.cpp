#include "report/mean_curve.h"

#include <cstddef>
#include <map>

namespace megin::report {

std::vector<Point> mean_curve(const std::vector<std::vector<LogPoint>>& runs) {
  std::vector<Point> mean;
  if (runs.size() == 1) {
    for (const LogPoint& of : runs.front()) mean.push_back(of.point);
    return mean;
  }
  struct Sum {
    size_t runs = 0;
    double x = 0, y = 0;
  };
  std::map<int64_t, Sum> sums;
  for (const std::vector<LogPoint>& run : runs) {
    std::map<int64_t, Point> points;  // of two at one update the later
    for (const LogPoint& of : run) points[of.update] = of.point;
    for (const auto& [update, point] : points) {
      Sum& sum = sums[update];
      ++sum.runs;
      sum.x += point.x;
      sum.y += point.y;
    }
  }
  const auto count = static_cast<double>(runs.size());
  for (const auto& [update, sum] : sums) {
    if (sum.runs == runs.size()) mean.push_back({sum.x / count, sum.y / count});
  }
  return mean;
}

}  // namespace megin::report
