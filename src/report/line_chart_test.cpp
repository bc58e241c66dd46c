#include "report/line_chart.h"

#include <expat.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>

#include "base/error.h"

namespace megin::report {
namespace {

// What an XML parser finds: how many elements of a name, the text, and the `d` of each path.
struct Picture {
  std::map<std::string, int> elements;
  std::string text;
  std::vector<std::string> paths;
};

Picture parse(const std::string& svg) {
  Picture picture;
  XML_Parser parser = XML_ParserCreate("UTF-8");
  XML_SetUserData(parser, &picture);
  XML_SetElementHandler(
      parser,
      [](void* data, const XML_Char* name, const XML_Char** attributes) {
        auto& found = *static_cast<Picture*>(data);
        ++found.elements[name];
        for (; std::string(name) == "path" && *attributes; attributes += 2) {
          if (std::string(attributes[0]) == "d") found.paths.emplace_back(attributes[1]);
        }
      },
      [](void*, const XML_Char*) {});
  XML_SetCharacterDataHandler(parser, [](void* data, const XML_Char* text, int size) {
    static_cast<Picture*>(data)->text.append(text, static_cast<size_t>(size));
  });
  EXPECT_EQ(XML_Parse(parser, svg.data(), static_cast<int>(svg.size()), 1), XML_STATUS_OK)
      << XML_ErrorString(XML_GetErrorCode(parser));
  XML_ParserFree(parser);
  return picture;
}

LineChart example() {
  return {.title = "Loss < 4 & falling",
          .subtitle = "",
          .x_label = "updates",
          .y_label = "loss",
          .series = {{"thor", {{0, 5}, {100, 3}, {200, 2}}}, {"dense", {{0, 5}, {100, 4}, {200, 3}}}}};
}

TEST(LineChart, IsXmlWithTheTextsAndAPathForEachLineAndLegendEntry) {
  const Picture picture = parse(line_chart_svg(example()));
  EXPECT_NE(picture.text.find("Loss < 4 & falling"), std::string::npos);
  for (const char* word : {"updates", "thor", "dense", "200"}) {
    EXPECT_NE(picture.text.find(word), std::string::npos) << word;
  }
  EXPECT_EQ(picture.elements.at("path"), 4);
  EXPECT_EQ(picture.elements.at("circle"), 6);
}

TEST(LineChart, PointsThatCannotBeDrawnInterruptTheLine) {
  LineChart chart = example();
  chart.y_scale = Scale::kLog;
  chart.series = {{"", {{0, 1}, {1, 10}, {2, std::nan("")}, {3, 0}, {4, 100}, {5, 10}}}};
  const Picture picture = parse(line_chart_svg(chart));
  ASSERT_EQ(picture.paths.size(), 1u);
  EXPECT_EQ(std::count(picture.paths[0].begin(), picture.paths[0].end(), 'M'), 2);
  EXPECT_EQ(std::count(picture.paths[0].begin(), picture.paths[0].end(), 'L'), 2);
}

TEST(LineChart, ManyPointsAreNotMarked) {
  LineChart chart = example();
  chart.series.resize(1);
  for (int i = 0; i < 100; ++i) chart.series[0].points.push_back({300.0 + i, 1});
  EXPECT_EQ(parse(line_chart_svg(chart)).elements.count("circle"), 0u);
}

// Colour and dashes, as they stand in the legend: the first path of each series.
TEST(LineChart, TellsTwelveLinesApart) {
  LineChart chart = example();
  chart.series.assign(kMostSeries, {"x", {{0, 1}, {1, 2}}});
  const std::string svg = line_chart_svg(chart);
  std::map<std::string, int> strokes;
  for (size_t at = 0; (at = svg.find("fill=\"none\"", at)) != std::string::npos; ++at) {
    ++strokes[svg.substr(at, svg.find("/>", at) - at)];
  }
  EXPECT_EQ(strokes.size(), kMostSeries);
  for (const auto& [stroke, lines] : strokes) EXPECT_EQ(lines, 2) << stroke << ": the legend's and the curve";
}

TEST(LineChart, RefusesWhatShowsNothing) {
  LineChart chart = example();
  chart.series = {{"thor", {{0, std::numeric_limits<double>::infinity()}}}};
  EXPECT_THROW(line_chart_svg(chart), UsageError);
  chart.series.clear();
  EXPECT_THROW(line_chart_svg(chart), UsageError);
  chart.series.assign(kMostSeries + 1, {"x", {{0, 1}}});
  EXPECT_THROW(line_chart_svg(chart), UsageError);
}

}  // namespace
}  // namespace megin::report
