// megin plot: curves of one or more runs as a picture.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <sstream>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/output_file.h"
#include "report/line_chart.h"

namespace megin::cli {
namespace {

namespace fs = std::filesystem;

// What the x axis shows: a number that each line of the log has, in a unit.
struct Axis {
  std::string_view name;
  std::string_view key;
  double unit;
  std::string_view label;
};
constexpr Axis kAxes[] = {
    {"updates", "update", 1, "updates"},
    {"share", "update", 1, "share of each run, %"},
    {"minutes", "minutes", 1, "minutes of training"},
    {"cpu-minutes", "cpu_minutes", 1, "processor minutes of training"},
    {"flops", "flops", 1e12, "training TFLOP"},
};

const Axis& axis_named(std::string_view name) {
  std::string names;
  for (const Axis& axis : kAxes) {
    if (axis.name == name) return axis;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", axis.name);
  }
  fail_usage("--x: wanted one of {}; found '{}'", names, name);
}

struct PlotOptions {
  std::vector<std::string> runs;
  std::string event = "validation";
  std::string key = "bleu";
  std::string x = "updates";
  std::string title;
  std::string output;
};

report::Series series_of(const fs::path& run, const PlotOptions& options, const Axis& axis) {
  const fs::path file = run / "log.jsonl";
  if (!fs::exists(file)) {
    fail("{}: wanted a run directory of `megin train`, found no log.jsonl in it", run.string());
  }
  report::Series series{.name = run.filename().string(), .points = {}};
  std::istringstream lines(read_file(file));
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_discarded() || json.value("event", "") != options.event || !json.contains(options.key))
      continue;
    const auto& value = json.at(options.key);
    if (!value.is_number()) continue;
    if (!json.contains(axis.key)) {
      fail("{}: its lines have no '{}', as it was trained by an older megin; choose another --x",
           file.string(), axis.key);
    }
    series.points.push_back({json.at(axis.key).get<double>() / axis.unit, value.get<double>()});
  }
  if (series.points.empty()) {
    fail("{}: no line of event '{}' has a number '{}'; docs/run_directory.md lists the keys", file.string(),
         options.event, options.key);
  }
  if (axis.name == "share") {
    const double last = series.points.back().x;
    for (report::Point& point : series.points) point.x = 100 * point.x / last;
  }
  return series;
}

void plot(const PlotOptions& options, CommandContext& context) {
  const Axis& axis = axis_named(options.x);
  report::LineChart chart{.title = options.title.empty() ? options.event + ": " + options.key : options.title,
                          .subtitle = "",
                          .x_label = std::string(axis.label),
                          .y_label = options.key,
                          .series = {}};
  for (const std::string& run : options.runs) {
    const fs::path path = fs::path(run).lexically_normal();
    chart.series.push_back(series_of(path.has_filename() ? path : path.parent_path(), options, axis));
  }
  OutputFile file(options.output, context.out);
  file.stream() << report::line_chart_svg(chart);
  file.commit();
}

}  // namespace

void add_plot_command(Program& program) {
  auto options = std::make_shared<PlotOptions>();
  CLI::App& command = program.add(
      {.name = "plot",
       .summary = "Draw the curves of training runs as an SVG picture",
       .details = "Reads log.jsonl of each run. docs/run_directory.md lists events and keys.",
       .examples = "megin plot runs/multi30k/thor_tiny runs/multi30k/dense_tiny --x flops --output bleu.svg\n"
                   "megin plot runs/mine --event update --key nll --output loss.svg"},
      [options](CommandContext& context) { plot(*options, context); });
  command.add_option("RUN", options->runs, "run directories; at most 8")->required();
  command.add_option("--event", options->event, "which lines of the log: validation or update")
      ->capture_default_str();
  command.add_option("--key", options->key, "which number of them: bleu, loss, nll, perplexity ...")
      ->capture_default_str();
  command
      .add_option("--x", options->x,
                  "the x axis: updates, share (of each run's updates), minutes, cpu-minutes or flops")
      ->capture_default_str();
  command.add_option("--title", options->title, "above the picture");
  command.add_option("--output", options->output, "file to write; without it, standard output");
}

}  // namespace megin::cli
