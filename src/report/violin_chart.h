// Distributions side by side as SVG: how far numbers of several groups spread.
#pragma once

#include <string>
#include <vector>

namespace megin::report {

struct Violin {
  std::string name;
  std::vector<double> values;  // at least one
};

struct ViolinChart {
  std::string title;
  std::string subtitle;  // below the title, smaller; may be empty
  std::string y_label;
  std::vector<Violin> violins;
  int width = 760;   // pixels
  int height = 440;  // pixels
};

// Each group as its density, mirrored (a Gaussian kernel with Silverman's bandwidth), its values as dots, and
// its mean as a line. Groups whose values are all alike are a line. The same chart gives the same bytes.
// UsageError without a group, for more than 12, or for a value that is not finite.
std::string violin_chart_svg(const ViolinChart& chart);

}  // namespace megin::report
