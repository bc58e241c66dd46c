// megin analyze consistency: how far results spread over the seeds of the experts' draws (thor spec 6, Fig.
// 8).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/files.h"
#include "cli/analysis.h"
#include "report/table.h"
#include "report/violin_chart.h"

namespace megin::cli {
namespace {

using nlohmann::json;

// The numbers of one file.
struct Group {
  std::string name;
  std::vector<double> values;

  double mean() const {
    double sum = 0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
  }
  double variance() const {  // n - 1
    double squares = 0;
    for (const double value : values) squares += std::pow(value - mean(), 2);
    return values.size() < 2 ? 0.0 : squares / static_cast<double>(values.size() - 1);
  }
};

Group read_group(const std::string& path, const std::string& key) {
  const json evaluated = json::parse(read_file(path), nullptr, false);
  const auto wrong = [&](const std::string& found) {
    fail("{}: wanted the output of `megin evaluate --seeds K --json` with '{}' in its runs, found {}", path,
         key, found);
  };
  if (!evaluated.is_object() || !evaluated.contains("runs") || !evaluated["runs"].is_array()) {
    wrong("something else");
  }
  Group group{.name = std::filesystem::path(path).stem().string(), .values = {}};
  for (const json& run : evaluated["runs"]) {
    if (!run.is_object() || !run.contains(key) || !run[key].is_number()) wrong("a run without it");
    group.values.push_back(run[key].get<double>());
  }
  if (group.values.empty()) wrong("no run");
  return group;
}

}  // namespace

void analyze_consistency(const AnalysisOptions& options, CommandContext& context) {
  if (options.key != "bleu" && options.key != "loss") {
    fail_usage("--key: wanted bleu or loss; found '{}'", options.key);
  }
  std::vector<Group> groups;
  for (const std::string& path : options.paths) groups.push_back(read_group(path, options.key));
  const std::string label = options.key == "bleu" ? "BLEU" : "loss, nats a token";
  if (!options.svg.empty()) {
    report::ViolinChart chart{.title = "Spread over seeds",
                              .subtitle = "each dot is the test set with experts drawn from one seed",
                              .y_label = label,
                              .violins = {}};
    for (const Group& group : groups) chart.violins.push_back({group.name, group.values});
    write_output(options.svg, report::violin_chart_svg(chart), context);
  }
  std::string csv = "group,run," + options.key + "\n";
  nlohmann::ordered_json result = {{"key", options.key}, {"groups", nlohmann::ordered_json::array()}};
  using report::Align;
  report::Table table({{"group"},
                       {"seeds", Align::kRight},
                       {"mean", Align::kRight},
                       {"variance", Align::kRight},
                       {"least", Align::kRight},
                       {"most", Align::kRight}});
  for (const Group& group : groups) {
    const auto [least, most] = std::ranges::minmax(group.values);
    table.add_row({group.name, std::to_string(group.values.size()), fmt::format("{:.3f}", group.mean()),
                   fmt::format("{:.6f}", group.variance()), fmt::format("{:.3f}", least),
                   fmt::format("{:.3f}", most)});
    result["groups"].push_back({{"group", group.name},
                                {"seeds", group.values.size()},
                                {"mean", group.mean()},
                                {"variance", group.variance()},
                                {"least", least},
                                {"most", most}});
    for (size_t i = 0; i < group.values.size(); ++i) {
      csv += fmt::format("{},{},{}\n", group.name, i + 1, group.values[i]);
    }
  }
  if (!options.csv.empty()) write_output(options.csv, csv, context);
  if (context.json) {
    context.out << result.dump() << "\n";
    return;
  }
  context.out << table.text() << fmt::format("\n{}; the variance is over n - 1.\n", label);
}

}  // namespace megin::cli
