#include "report/line_chart.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>

#include "base/error.h"
#include "report/svg.h"

namespace megin::report {
namespace {

constexpr std::array<std::string_view, 4> kDashes{"", "7 3", "2 3", "9 3 2 3"};
constexpr size_t kMarkedPoints = 24;

bool is_drawable(const LineChart& chart, const Point& point) {
  return std::isfinite(point.x) && std::isfinite(point.y) &&
         (chart.x_scale == Scale::kLinear || point.x > 0) && (chart.y_scale == Scale::kLinear || point.y > 0);
}

class Drawing {
 public:
  Drawing(const LineChart& chart, const Range& x, const Range& y)
      : chart_(chart),
        x_(x.low, x.high, chart.x_scale, 8, false),
        y_(y.low, y.high, chart.y_scale, 5, true),
        svg_(chart.width, chart.height) {}

  std::string draw() && {
    const double legend_bottom = draw_heading();
    double label_width = 0;
    for (const Tick& tick : y_.ticks()) label_width = std::max(label_width, text_width(tick.label, 12));
    plot_ = {24 + label_width + 10, legend_bottom + 40, chart_.width - 32.0, chart_.height - 58.0};
    draw_axes();
    for (size_t i = 0; i < chart_.series.size(); ++i) draw_series(i);
    return std::move(svg_).finish();
  }

 private:
  double at_x(double value) const { return plot_.left + x_.position(value) * (plot_.right - plot_.left); }
  double at_y(double value) const { return plot_.bottom - y_.position(value) * (plot_.bottom - plot_.top); }

  // Title, subtitle and legend; returns where they end.
  double draw_heading() {
    double y = 14;
    if (!chart_.title.empty()) {
      svg_.text(24, y += 20, chart_.title, {.size = 17, .colour = "#1F2328", .weight = "600"});
    }
    if (!chart_.subtitle.empty()) svg_.text(24, y += 20, chart_.subtitle, {.size = 13});
    if (chart_.series.size() < 2 && chart_.series.front().name.empty()) return y;
    double x = 24;
    y += 26;
    for (size_t i = 0; i < chart_.series.size(); ++i) {
      const std::string& name = chart_.series[i].name;
      const double width = 30 + text_width(name, 13) + 22;
      if (x > 24 && x + width > chart_.width - 10) {
        x = 24;
        y += 20;
      }
      svg_.add("<path d=\"M{:.1f} {:.1f}h22\" {}/>\n", x, y - 4.5, stroke(i));
      svg_.text(x + 29, y, name, {.size = 13, .colour = "#1F2328"});
      x += width;
    }
    return y;
  }

  void draw_axes() {
    for (const Tick& tick : y_.ticks()) {
      const double y = at_y(tick.value);
      svg_.line({plot_.left, y, plot_.right, y}, "#E6E8EB");
      svg_.text(plot_.left - 10, y + 4.2, tick.label, {.anchor = "end"});
    }
    svg_.line({plot_.left, plot_.bottom, plot_.right, plot_.bottom}, "#8C959F");
    for (const Tick& tick : x_.ticks()) {
      const double x = at_x(tick.value);
      svg_.line({x, plot_.bottom, x, plot_.bottom + 5}, "#8C959F");
      svg_.text(x, plot_.bottom + 20, tick.label, {.anchor = "middle"});
    }
    svg_.text(24, plot_.top - 14, chart_.y_label, {.size = 12.5, .weight = "500"});
    svg_.text((plot_.left + plot_.right) / 2, plot_.bottom + 42, chart_.x_label,
              {.size = 12.5, .anchor = "middle", .weight = "500"});
  }

  void draw_series(size_t number) {
    const std::vector<Point>& points = chart_.series[number].points;
    std::string path;
    bool pen_down = false;
    for (const Point& point : points) {
      const bool drawable = is_drawable(chart_, point);
      if (drawable)
        path += fmt::format("{}{:.1f} {:.1f}", pen_down ? 'L' : 'M', at_x(point.x), at_y(point.y));
      pen_down = drawable;
    }
    svg_.add("<path d=\"{}\" {}/>\n", path, stroke(number));
    if (points.size() > kMarkedPoints) return;
    for (const Point& point : points) {
      if (!is_drawable(chart_, point)) continue;
      svg_.add(
          "<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"3.4\" fill=\"{}\" stroke=\"#FFFFFF\" "
          "stroke-width=\"1.2\"/>\n",
          at_x(point.x), at_y(point.y), colour(number));
    }
  }

  size_t look(size_t number) const {
    const int given = chart_.series[number].look;
    return given < 0 ? number : static_cast<size_t>(given) % kMostSeries;
  }

  std::string_view colour(size_t number) const { return kColours[look(number) % kColours.size()]; }

  // Lines that share a colour have different dashes.
  std::string_view dashes(size_t number) const {
    const size_t place = look(number);
    return kDashes[(place + place / kColours.size()) % kDashes.size()];
  }

  std::string stroke(size_t number) const {
    const std::string_view dash = dashes(number);
    std::string style = fmt::format(
        "fill=\"none\" stroke=\"{}\" stroke-width=\"2.2\" stroke-linejoin=\"round\" stroke-linecap=\"{}\"",
        colour(number), dash.empty() ? "round" : "butt");
    if (!dash.empty()) style += fmt::format(" stroke-dasharray=\"{}\"", dash);
    return style;
  }

  const LineChart& chart_;
  Axis x_, y_;
  Svg svg_;
  Box plot_{};
};

}  // namespace

std::string line_chart_svg(const LineChart& chart) {
  if (chart.series.size() > kMostSeries) {
    fail_usage("a chart of {} lines cannot be read; at most {}", chart.series.size(), kMostSeries);
  }
  Range x, y;
  for (const Series& series : chart.series) {
    for (const Point& point : series.points) {
      if (!is_drawable(chart, point)) continue;
      x.include(point.x);
      y.include(point.y);
    }
  }
  // An axis that nearly starts at 0 starts there.
  if (chart.x_scale == Scale::kLinear && x.low > 0 && x.low < x.high / 4) x.low = 0;
  if (!std::isfinite(x.low)) fail_usage("the chart \"{}\" has no point to draw", chart.title);
  return Drawing(chart, x, y).draw();
}

}  // namespace megin::report
