#include "report/violin_chart.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/error.h"

namespace megin::report {
namespace {

using testing::HasSubstr;

ViolinChart two_groups() {
  return {.title = "Spread <of> BLEU",
          .subtitle = "",
          .y_label = "BLEU",
          .violins = {{"THOR", {22.0, 22.1, 22.2, 22.1}}, {"steady", {21, 21, 21}}}};
}

TEST(ViolinChart, ShowsDensityValuesAndMean) {
  const std::string svg = violin_chart_svg(two_groups());
  EXPECT_THAT(svg, HasSubstr("Spread &lt;of&gt; BLEU"));
  EXPECT_THAT(svg, HasSubstr(">THOR</text>"));
  size_t dots = 0, densities = 0;
  for (size_t at = 0; (at = svg.find("<circle", at)) != std::string::npos; ++at) ++dots;
  for (size_t at = 0; (at = svg.find("fill-opacity=\"0.18\"", at)) != std::string::npos; ++at) ++densities;
  EXPECT_EQ(dots, 7u);
  EXPECT_EQ(densities, 1u) << "values that are all alike have no density";
  EXPECT_EQ(svg, violin_chart_svg(two_groups()));
}

// A group alone stands in the middle of its slot, and its density is symmetric about it.
TEST(ViolinChart, IsSymmetric) {
  ViolinChart chart = two_groups();
  chart.violins = {{"one", {1, 2, 3}}};
  const std::string svg = violin_chart_svg(chart);
  const size_t begin = svg.find("<path d=\"M");
  const std::string path = svg.substr(begin + 10, svg.find('Z', begin) - begin - 10);
  std::vector<double> xs;
  for (size_t at = 0; at < path.size();) {
    xs.push_back(std::stod(path.substr(at)));
    const size_t next = path.find('L', at);
    at = next == std::string::npos ? path.size() : next + 1;
  }
  ASSERT_EQ(xs.size(), 98u);
  for (size_t i = 0; i < 49; ++i) EXPECT_NEAR(xs[i] + xs[97 - i], xs[0] + xs[97], 0.21) << i;
}

TEST(ViolinChart, RefusesWhatCannotBeDrawn) {
  ViolinChart chart = two_groups();
  chart.violins.push_back({"none", {}});
  EXPECT_THROW(violin_chart_svg(chart), UsageError);
  chart.violins.back().values = {std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW(violin_chart_svg(chart), UsageError);
  chart.violins.assign(13, {"many", {1}});
  EXPECT_THROW(violin_chart_svg(chart), UsageError);
  chart.violins.clear();
  EXPECT_THROW(violin_chart_svg(chart), UsageError);
}

}  // namespace
}  // namespace megin::report
