#include "cli/report_routing.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "cli/run_fluctuation.h"
#include "report/line_chart.h"
#include "report/mean_curve.h"

namespace megin::cli {
namespace {

using nlohmann::json;
using report::Align;

constexpr const char* kMixture = "mixture";  // the stack of a mixture's components

// An expert layer: its stack and number.
struct Place {
  std::string stack;
  int64_t layer = 0;

  bool operator==(const Place&) const = default;
  std::string name() const { return stack == kMixture ? stack : fmt::format("{} {}", stack, layer); }
  std::string file() const { return stack == kMixture ? stack : fmt::format("{}-{}", stack, layer); }
};

Place place_of(const json& line) {
  return {.stack = line.value("stack", ""), .layer = line.value("layer", int64_t{0})};
}

// The last routing line of each place; encoder, decoder, mixture.
std::vector<const json*> last_lines(const ReportedRun& run) {
  std::map<std::pair<int, int64_t>, const json*> last;
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") != "routing") continue;
    const Place place = place_of(line);
    const int stack = place.stack == "encoder" ? 0 : place.stack == kMixture ? 2 : 1;
    last[{stack, place.layer}] = &line;
  }
  std::vector<const json*> lines;
  for (const auto& [place, line] : last) lines.push_back(line);
  return lines;
}

// In the order of the log, as many as can be told apart.
std::vector<Place> places_of(const ReportedRun& run) {
  constexpr size_t kMostLayers = 8;
  std::vector<Place> places;
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") != "routing") continue;
    const Place place = place_of(line);
    if (std::ranges::find(places, place) == places.end() && places.size() < kMostLayers) {
      places.push_back(place);
    }
  }
  return places;
}

size_t experts_of(const json& line) {
  size_t experts = 0;
  while (line.contains(fmt::format("load_{}", experts))) ++experts;
  return experts;
}

report::RunLog::Accept at_place(const Place& place) {
  return [place](const json& line) { return place_of(line) == place; };
}

// A number of which an expert layer has one, or each of its experts.
struct RoutingNumber {
  const char* key;
  const char* title;
};

constexpr RoutingNumber kOfLayers[] = {
    {"highest_load", "Highest load of an expert, relative to an equal share"},
    {"lowest_load", "Lowest load of an expert, relative to an equal share"},
    {"unused_experts", "Dead experts: those that nothing chose"},
    {"confidence", "Confidence: mean share of the first choice"},
    {"entropy", "Entropy over experts, nats"},
    {"dropped", "Share of choices dropped"},
    {"balance", "Balance loss"},
    {"z_loss", "z-loss: how large a router's scores are"},
    {"distillation", "Distillation loss, nats"}};
constexpr RoutingNumber kOfExperts[] = {{"load", "Load: share of choices"},
                                        {"confidence", "Confidence: its mean share of them"}};
// Figures 2 and 3 of the THOR paper.
constexpr RoutingNumber kOfComponents[] = {
    {"load", "Load: share of sentences that a component explains best"},
    {"confidence", "Confidence: its mean responsibility for them"}};

bool is_all_zero(const report::LineChart& chart) {
  return std::ranges::all_of(chart.series, [](const report::Series& series) {
    return std::ranges::all_of(series.points, [](const report::Point& point) { return point.y == 0; });
  });
}

report::LineChart empty_chart(const RoutingNumber& number, const std::string& subtitle) {
  return {
      .title = number.title, .subtitle = subtitle, .x_label = "updates", .y_label = number.key, .series = {}};
}

// One line for each layer.
void add_layer_chart(const RunGroup& group, const std::vector<Place>& places, const RoutingNumber& number,
                     std::vector<Picture>& pictures) {
  report::LineChart chart = empty_chart(number, group.name);
  for (const Place& place : places) {
    auto points = group_curve(group, {.event = "routing", .key = number.key, .accept = at_place(place)});
    if (points.empty()) continue;
    chart.series.push_back({.name = place.name(), .points = std::move(points)});
  }
  if (is_all_zero(chart)) return;
  pictures.push_back(
      {file_name(fmt::format("{}-routing-{}", group.name, number.key)), report::line_chart_svg(chart)});
}

// Of a layer of few experts one line for each of them; of a mixture one for each component.
void add_expert_charts(const ReportedRun& run, const Place& place, size_t experts,
                       std::vector<Picture>& pictures) {
  const bool mixture = place.stack == kMixture;
  for (const RoutingNumber& number : mixture ? kOfComponents : kOfExperts) {
    report::LineChart chart =
        empty_chart(number, mixture ? run.name : fmt::format("{}, {}", run.name, place.name()));
    for (size_t e = 0; e < experts; ++e) {
      const std::string key = fmt::format("{}_{}", number.key, e);
      auto points = run.log.curve("routing", key, report::log_axis("updates"), at_place(place));
      if (points.empty()) continue;
      chart.series.push_back({.name = fmt::format("{} {}", mixture ? "component" : "expert", e),
                              .points = std::move(points),
                              .look = static_cast<int>(e)});
    }
    if (chart.series.empty()) continue;
    pictures.push_back({file_name(fmt::format("{}-{}-{}", run.name, place.file(), number.key)),
                        report::line_chart_svg(chart)});
  }
}

// The loads of each expert layer at the end, as shares of all choices.
void add_loads(report::HtmlPage& page, const ReportedRun& run) {
  std::vector<report::Column> columns = {{"layer"}};
  std::vector<std::vector<std::string>> rows;
  for (const json* line : last_lines(run)) {
    std::vector<std::string>& row = rows.emplace_back();
    row.push_back(place_of(*line).name());
    for (size_t e = 0; e < experts_of(*line); ++e) {
      row.push_back(fmt::format("{:.1f}", 100 * line->at(fmt::format("load_{}", e)).get<double>()));
    }
    for (size_t e = columns.size() - 1; e < experts_of(*line); ++e) {
      columns.push_back({fmt::format("expert {}, %", e), Align::kRight});
    }
  }
  for (auto& row : rows) row.resize(columns.size());
  page.table(columns, rows);
}

std::vector<Picture> routing_pictures(const RunGroup& group) {
  constexpr size_t kMostExperts = 8;
  const ReportedRun& first = *group.runs.front();
  const std::vector<Place> places = places_of(first);
  std::vector<Picture> pictures;
  for (const RoutingNumber& number : kOfLayers) add_layer_chart(group, places, number, pictures);
  for (const json* line : last_lines(first)) {
    const Place place = place_of(*line);
    const size_t experts = experts_of(*line);
    if (experts > kMostExperts || std::ranges::find(places, place) == places.end()) continue;
    add_expert_charts(first, place, experts, pictures);
  }
  return pictures;
}

}  // namespace

std::optional<Picture> fluctuation_picture(const std::vector<RunGroup>& groups) {
  report::LineChart chart = fluctuation_chart();
  for (const RunGroup& group : groups) {
    const bool recorded = std::ranges::all_of(
        group.runs, [](const ReportedRun* run) { return has_fluctuation(run->log.folder()); });
    if (!recorded) continue;
    std::vector<std::vector<report::LogPoint>> curves;
    for (const ReportedRun* run : group.runs) {
      const RunFluctuation found = read_fluctuation(run->log.folder());
      curves.push_back(group.runs.size() > 1 ? fluctuation_by_hundredths(found, found.layers.back())
                                             : fluctuation_curve(found, found.layers.back()));
    }
    auto points = report::mean_curve(curves);
    if (points.empty()) continue;
    chart.series.push_back({.name = group.name, .points = std::move(points), .look = group.look});
  }
  if (chart.series.empty()) return std::nullopt;
  return Picture{"routing-fluctuation", report::line_chart_svg(chart)};
}

std::vector<Picture> add_routing(report::HtmlPage& page, const RunGroup& group) {
  std::vector<Picture> pictures = routing_pictures(group);
  if (pictures.empty()) return pictures;
  page.heading(fmt::format("Routing of {}", group.name));
  page.paragraph(
      "Loads of the last interval. Curves have one line for each expert layer, the first 8 of them, or one "
      "for each expert of a layer that has at most 8.");
  if (group.of_seeds()) {
    page.paragraph(
        fmt::format("Lines of a layer are the mean over {} seeds. Loads and lines of single experts are "
                    "those of {}: expert 0 of another seed is another one.",
                    group.runs.size(), group.runs.front()->name));
  }
  add_loads(page, *group.runs.front());
  add_charts(page, pictures);
  return pictures;
}

}  // namespace megin::cli
