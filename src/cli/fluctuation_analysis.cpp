// megin analyze fluctuation: until when a router moved tokens between experts.
#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/human_text.h"
#include "cli/analysis.h"
#include "metric/routing_fluctuation.h"
#include "report/line_chart.h"
#include "report/table.h"
#include "store/routing_snapshot.h"

namespace megin::cli {
namespace {

// Of one expert layer, or of all together.
struct Fluctuation {
  std::string layer;
  std::vector<int64_t> last;  // of each token, as metric::last_fluctuations()
};

constexpr double kShares[] = {0.2, 0.5, 0.8};  // of the training: those that the paper gives for BASE

std::vector<int64_t> updates_of(const std::vector<store::RoutingSnapshot>& snapshots) {
  std::vector<int64_t> updates;
  for (const auto& snapshot : snapshots) updates.push_back(snapshot.update);
  return updates;
}

std::vector<Fluctuation> fluctuations(const std::vector<store::RoutingSnapshot>& snapshots) {
  std::vector<Fluctuation> all;
  Fluctuation together{.layer = "all layers", .last = {}};
  for (size_t layer = 0; layer < snapshots.front().layers.size(); ++layer) {
    std::vector<std::vector<uint16_t>> routes;
    for (const auto& snapshot : snapshots) routes.push_back(snapshot.layers[layer].experts);
    all.push_back({snapshots.front().layers[layer].name, metric::last_fluctuations(routes)});
    together.last.insert(together.last.end(), all.back().last.begin(), all.back().last.end());
  }
  if (all.size() > 1) all.push_back(std::move(together));
  return all;
}

// The share of tokens whose last fluctuation lies beyond each snapshot.
std::vector<report::Point> curve(const Fluctuation& of, const std::vector<int64_t>& updates) {
  std::vector<report::Point> points;
  const auto last = static_cast<double>(updates.back());
  for (const int64_t update : updates) {
    const double share = static_cast<double>(update) / last;
    points.push_back({100 * share, 100 * metric::share_fluctuating_beyond(of.last, updates, share)});
  }
  return points;
}

std::string chart(const std::vector<Fluctuation>& all, const std::vector<int64_t>& updates) {
  constexpr size_t kMostLines = 8;
  report::LineChart chart{.title = "Routing fluctuation",
                          .subtitle = "tokens whose expert still differs from its last one later than this",
                          .x_label = "share of the training, %",
                          .y_label = "tokens, %",
                          .series = {}};
  // With more layers than can be told apart, all of them together.
  if (all.size() > kMostLines) {
    chart.series.push_back({.name = all.back().layer, .points = curve(all.back(), updates)});
    return line_chart_svg(chart);
  }
  for (const Fluctuation& of : all) chart.series.push_back({.name = of.layer, .points = curve(of, updates)});
  return line_chart_svg(chart);
}

std::string csv(const std::vector<Fluctuation>& all, const std::vector<int64_t>& updates) {
  std::string text = "layer,update,share_of_training,share_of_tokens_beyond\n";
  for (const Fluctuation& of : all) {
    const auto points = curve(of, updates);
    for (size_t i = 0; i < points.size(); ++i) {
      text +=
          fmt::format("{},{},{:.6f},{:.6f}\n", of.layer, updates[i], points[i].x / 100, points[i].y / 100);
    }
  }
  return text;
}

}  // namespace

void analyze_fluctuation(const AnalysisOptions& options, CommandContext& context) {
  const std::string& run = options.paths[0];
  const auto snapshots = store::read_routing_snapshots(run);
  if (snapshots.size() < 2) {
    fail("{}: wanted two validations or more to see what changed between them, found one", run);
  }
  const auto updates = updates_of(snapshots);
  const auto all = fluctuations(snapshots);
  if (!options.svg.empty()) write_output(options.svg, chart(all, updates), context);
  if (!options.csv.empty()) write_output(options.csv, csv(all, updates), context);

  nlohmann::ordered_json json = {{"run", run},
                                 {"updates", updates.back()},
                                 {"snapshots", updates.size()},
                                 {"layers", nlohmann::ordered_json::array()}};
  std::vector<report::Column> columns = {{"layer"}, {"tokens", report::Align::kRight}};
  for (const double share : kShares)
    columns.push_back({fmt::format("beyond {:.0f} %", 100 * share), report::Align::kRight});
  report::Table table(columns);
  for (const Fluctuation& of : all) {
    std::vector<std::string> cells = {of.layer, grouped(static_cast<int64_t>(of.last.size()))};
    nlohmann::ordered_json layer = {{"layer", of.layer}, {"tokens", of.last.size()}};
    for (const double share : kShares) {
      const double beyond = metric::share_fluctuating_beyond(of.last, updates, share);
      cells.push_back(fmt::format("{:.1f} %", 100 * beyond));
      layer[fmt::format("beyond_{:.0f}_percent", 100 * share)] = beyond;
    }
    table.add_row(std::move(cells));
    json["layers"].push_back(std::move(layer));
  }
  if (context.json) {
    context.out << json.dump() << "\n";
    return;
  }
  context.out << table.text()
              << fmt::format(
                     "\nShare of the validation set's tokens whose expert still differed from its last one "
                     "later than "
                     "so much of the training ({} snapshots, {} updates).\n",
                     updates.size(), grouped(updates.back()));
}

}  // namespace megin::cli
