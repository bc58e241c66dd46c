// Line charts as SVG: one self-contained picture for a README, a report or a browser.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "report/axis.h"

namespace megin::report {

struct Point {
  double x, y;
};

struct Series {
  std::string name;
  std::vector<Point> points;  // in the order of x. A point that is not finite, or not above 0 on a
                              // logarithmic scale, interrupts the line
  int look = -1;  // which of the colours and dashes, so that charts agree; -1: its place in the chart
};

inline constexpr size_t kMostSeries = 12;  // that colours and dashes tell apart

struct LineChart {
  std::string title;
  std::string subtitle;  // below the title, smaller; may be empty
  std::string x_label;   // with the unit: "training time, minutes"
  std::string y_label;
  std::vector<Series> series;  // told apart by colour and by dashes
  Scale x_scale = Scale::kLinear;
  Scale y_scale = Scale::kLinear;
  int width = 760;   // pixels
  int height = 440;  // pixels
};

// The same chart gives the same bytes. Few points (at most 24 in a series) are marked by dots. UsageError if
// there is no point to draw or more series than can be told apart (kMostSeries).
std::string line_chart_svg(const LineChart& chart);

}  // namespace megin::report
