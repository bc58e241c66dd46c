#include "report/violin_chart.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "report/axis.h"
#include "report/spread.h"
#include "report/svg.h"

namespace megin::report {
namespace {

constexpr size_t kMostViolins = 12;
constexpr int kSteps = 48;      // of a density, from its lowest to its highest value
constexpr double kReach = 2.5;  // bandwidths beyond the outermost values

// Silverman 1986, eq. 3.28 with the standard deviation.
double bandwidth_of(const std::vector<double>& values) {
  constexpr double kRounding = 1e-9;  // of the mean: values that are all alike
  const Spread spread = spread_of(values);
  if (spread.deviation() <= kRounding * std::abs(spread.mean)) return 0;
  return 1.06 * spread.deviation() * std::pow(static_cast<double>(values.size()), -0.2);
}

double density_at(double y, const std::vector<double>& values, double bandwidth) {
  double sum = 0;
  for (const double value : values) sum += std::exp(-0.5 * std::pow((y - value) / bandwidth, 2));
  return sum;  // up to a factor: widths are relative
}

class Drawing {
 public:
  Drawing(const ViolinChart& chart, const Range& range)
      : chart_(chart), y_(range.low, range.high, Scale::kLinear, 5, true), svg_(chart.width, chart.height) {}

  std::string draw() && {
    double top = 14;
    if (!chart_.title.empty()) {
      svg_.text(24, top += 20, chart_.title, {.size = 17, .colour = "#1F2328", .weight = "600"});
    }
    if (!chart_.subtitle.empty()) svg_.text(24, top += 20, chart_.subtitle, {.size = 13});
    double label_width = 0;
    for (const Tick& tick : y_.ticks()) label_width = std::max(label_width, text_width(tick.label, 12));
    plot_ = {24 + label_width + 10, top + 40, chart_.width - 32.0, chart_.height - 44.0};
    draw_axis();
    for (size_t i = 0; i < chart_.violins.size(); ++i) draw_violin(i);
    return std::move(svg_).finish();
  }

 private:
  double at_y(double value) const { return plot_.bottom - y_.position(value) * (plot_.bottom - plot_.top); }

  void draw_axis() {
    for (const Tick& tick : y_.ticks()) {
      const double y = at_y(tick.value);
      svg_.line({plot_.left, y, plot_.right, y}, "#E6E8EB");
      svg_.text(plot_.left - 10, y + 4.2, tick.label, {.anchor = "end"});
    }
    svg_.line({plot_.left, plot_.bottom, plot_.right, plot_.bottom}, "#8C959F");
    svg_.text(24, plot_.top - 14, chart_.y_label, {.size = 12.5, .weight = "500"});
  }

  void draw_violin(size_t number) {
    const Violin& violin = chart_.violins[number];
    const double slot = (plot_.right - plot_.left) / static_cast<double>(chart_.violins.size());
    const double middle = plot_.left + slot * (static_cast<double>(number) + 0.5);
    const double reach = std::min(70.0, 0.4 * slot);
    const std::string_view colour = kColours[number % kColours.size()];
    const double bandwidth = bandwidth_of(violin.values);
    if (bandwidth > 0) draw_density(violin.values, bandwidth, middle, reach, colour);
    for (size_t i = 0; i < violin.values.size(); ++i) {
      // Spread sideways, so that equal values can be told apart.
      const double aside = (static_cast<double>(i % 5) - 2) * 4;
      svg_.add("<circle cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"2.4\" fill=\"{}\" fill-opacity=\"0.7\"/>\n",
               middle + aside, at_y(violin.values[i]), colour);
    }
    const double mean = at_y(spread_of(violin.values).mean);
    svg_.add("<path d=\"M{:.1f} {:.1f}h{:.1f}\" stroke=\"{}\" stroke-width=\"2.4\"/>\n", middle - 0.6 * reach,
             mean, 1.2 * reach, colour);
    svg_.text(middle, plot_.bottom + 22, violin.name, {.size = 13, .anchor = "middle", .colour = "#1F2328"});
  }

  void draw_density(const std::vector<double>& values, double bandwidth, double middle, double reach,
                    std::string_view colour) {
    const auto [low, high] = std::ranges::minmax(values);
    const double from = low - kReach * bandwidth, step = (high - low + 2 * kReach * bandwidth) / kSteps;
    std::vector<double> density;
    for (int i = 0; i <= kSteps; ++i) density.push_back(density_at(from + i * step, values, bandwidth));
    const double most = *std::ranges::max_element(density);
    std::string path;
    const auto go = [&](int i, double side) {
      const double x = middle + side * reach * density[static_cast<size_t>(i)] / most;
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', x, at_y(from + i * step));
    };
    for (int i = 0; i <= kSteps; ++i) go(i, 1);
    for (int i = kSteps; i >= 0; --i) go(i, -1);
    svg_.add("<path d=\"{}Z\" fill=\"{}\" fill-opacity=\"0.18\" stroke=\"{}\"/>\n", path, colour, colour);
  }

  const ViolinChart& chart_;
  Axis y_;
  Svg svg_;
  Box plot_{};
};

}  // namespace

std::string violin_chart_svg(const ViolinChart& chart) {
  if (chart.violins.empty() || chart.violins.size() > kMostViolins) {
    fail_usage("a chart of distributions shows 1 to {} groups, found {}", kMostViolins, chart.violins.size());
  }
  Range range;
  for (const Violin& violin : chart.violins) {
    if (violin.values.empty()) fail_usage("the group \"{}\" has no values to draw", violin.name);
    const double margin = kReach * bandwidth_of(violin.values);
    for (const double value : violin.values) {
      if (!std::isfinite(value)) fail_usage("the group \"{}\" has a value that is not finite", violin.name);
      range.include(value - margin);
      range.include(value + margin);
    }
  }
  return Drawing(chart, range).draw();
}

}  // namespace megin::report
