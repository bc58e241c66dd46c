// megin analyze fluctuation: until when routers moved tokens between experts.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/human_text.h"
#include "cli/analysis.h"
#include "cli/run_fluctuation.h"
#include "metric/routing_fluctuation.h"
#include "report/markup.h"
#include "report/mean_curve.h"
#include "report/run_names.h"
#include "report/table.h"

namespace megin::cli {
namespace {

constexpr double kShares[] = {0.2, 0.5, 0.8};  // of the training: those that the paper gives for BASE

struct NamedRun {
  std::string path;  // as it was given
  std::string name;
  RunFluctuation found;
};

std::vector<NamedRun> read_all(const std::vector<std::string>& paths) {
  const auto names = report::run_names(std::vector<std::filesystem::path>(paths.begin(), paths.end()));
  std::vector<NamedRun> runs;
  for (size_t i = 0; i < paths.size(); ++i) runs.push_back({paths[i], names[i], read_fluctuation(paths[i])});
  return runs;
}

report::Series line(const std::string& name, const RunFluctuation& run, const LayerFluctuation& layer) {
  return {.name = name, .points = report::mean_curve({fluctuation_curve(run, layer)})};
}

// Of one run a line for each layer, of several runs one for each run.
std::string chart(const std::vector<NamedRun>& runs) {
  constexpr size_t kMostLayers = 8;
  report::LineChart chart = fluctuation_chart();
  const RunFluctuation& first = runs.front().found;
  // With more layers than can be told apart, all of them together.
  if (runs.size() == 1 && first.layers.size() > kMostLayers) {
    chart.series.push_back(line(first.layers.back().layer, first, first.layers.back()));
  } else if (runs.size() == 1) {
    for (const LayerFluctuation& of : first.layers) chart.series.push_back(line(of.layer, first, of));
  } else {
    for (const NamedRun& run : runs) {
      chart.series.push_back(line(run.name, run.found, run.found.layers.back()));
    }
  }
  return line_chart_svg(chart);
}

std::string csv(const std::vector<NamedRun>& runs) {
  const bool several = runs.size() > 1;
  std::string text = several ? "run," : "";
  text += "layer,update,share_of_training,share_of_tokens_beyond\n";
  for (const NamedRun& run : runs) {
    for (const LayerFluctuation& layer : run.found.layers) {
      for (const report::LogPoint& of : fluctuation_curve(run.found, layer)) {
        if (several) text += report::csv_field(run.name) + ",";
        text +=
            fmt::format("{},{},{:.6f},{:.6f}\n", layer.layer, of.update, of.point.x / 100, of.point.y / 100);
      }
    }
  }
  return text;
}

// Of each of kShares.
std::vector<double> shares_beyond(const RunFluctuation& run, const LayerFluctuation& layer) {
  std::vector<double> beyond;
  for (const double share : kShares) {
    beyond.push_back(metric::share_fluctuating_beyond(layer.last, run.updates, share));
  }
  return beyond;
}

nlohmann::ordered_json to_json(const NamedRun& run) {
  nlohmann::ordered_json json = {{"run", run.path},
                                 {"updates", run.found.updates.back()},
                                 {"snapshots", run.found.updates.size()},
                                 {"layers", nlohmann::ordered_json::array()}};
  for (const LayerFluctuation& of : run.found.layers) {
    nlohmann::ordered_json layer = {{"layer", of.layer}, {"tokens", of.last.size()}};
    const std::vector<double> beyond = shares_beyond(run.found, of);
    for (size_t i = 0; i < beyond.size(); ++i) {
      layer[fmt::format("beyond_{:.0f}_percent", 100 * kShares[i])] = beyond[i];
    }
    json["layers"].push_back(std::move(layer));
  }
  return json;
}

report::Table table_of(const std::vector<NamedRun>& runs) {
  const bool several = runs.size() > 1;
  std::vector<report::Column> columns;
  if (several) columns.push_back({"run"});
  columns.push_back({"layer"});
  columns.push_back({"tokens", report::Align::kRight});
  for (const double share : kShares) {
    columns.push_back({fmt::format("beyond {:.0f} %", 100 * share), report::Align::kRight});
  }
  report::Table table(columns);
  for (const NamedRun& run : runs) {
    for (const LayerFluctuation& of : run.found.layers) {
      std::vector<std::string> cells;
      if (several) cells.push_back(run.name);
      cells.push_back(of.layer);
      cells.push_back(grouped(static_cast<int64_t>(of.last.size())));
      for (const double beyond : shares_beyond(run.found, of)) {
        cells.push_back(fmt::format("{:.1f} %", 100 * beyond));
      }
      table.add_row(std::move(cells));
    }
  }
  return table;
}

void print_json(const std::vector<NamedRun>& runs, std::ostream& out) {
  if (runs.size() == 1) {
    out << to_json(runs.front()).dump() << "\n";
    return;
  }
  nlohmann::ordered_json all = {{"runs", nlohmann::ordered_json::array()}};
  for (const NamedRun& run : runs) all["runs"].push_back(to_json(run));
  out << all.dump() << "\n";
}

}  // namespace

void analyze_fluctuation(const AnalysisOptions& options, CommandContext& context) {
  const auto runs = read_all(options.paths);
  if (!options.svg.empty()) write_output(options.svg, chart(runs), context);
  if (!options.csv.empty()) write_output(options.csv, csv(runs), context);
  if (context.json) {
    print_json(runs, context.out);
    return;
  }
  const std::vector<int64_t>& updates = runs.front().found.updates;
  const std::string measured =
      runs.size() > 1 ? ""
                      : fmt::format(" ({} snapshots, {} updates)", updates.size(), grouped(updates.back()));
  context.out << table_of(runs).text()
              << fmt::format(
                     "\nShare of the validation set's tokens whose expert still differed from its last one "
                     "later than so much of the training{}.\n",
                     measured);
}

}  // namespace megin::cli
