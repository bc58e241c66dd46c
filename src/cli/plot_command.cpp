// megin plot: curves of one or more runs as a picture.
#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <vector>

#include "base/error.h"
#include "cli/command.h"
#include "cli/output_file.h"
#include "report/line_chart.h"
#include "report/run_log.h"

namespace megin::cli {
namespace {

struct PlotOptions {
  std::vector<std::string> runs;
  std::string event = "validation";
  std::string key;  // empty: by what the logs have
  std::string x = "updates";
  std::string title;
  std::string output;
};

report::Series series_of(const std::string& run, const PlotOptions& options, const report::LogAxis& axis) {
  const report::RunLog log(run);
  report::Series series{.name = log.name(), .points = log.curve(options.event, options.key, axis)};
  if (series.points.empty()) {
    fail("{}: no line of event '{}' has a number '{}'; docs/run_directory.md lists the keys",
         (log.folder() / "log.jsonl").string(), options.event, options.key);
  }
  return series;
}

// BLEU or accuracy where every run has it, else the loss.
std::string usual_key(const PlotOptions& options, const report::LogAxis& axis) {
  for (const char* key : {"bleu", "accuracy"}) {
    const auto has_it = [&](const std::string& run) {
      return !report::RunLog(run).curve(options.event, key, axis).empty();
    };
    if (std::ranges::all_of(options.runs, has_it)) return key;
  }
  return "loss";
}

void plot(PlotOptions options, CommandContext& context) {
  if (options.event == "routing") {
    fail_usage("--event: routing has a line for each expert layer; `megin report` draws them apart");
  }
  const report::LogAxis& axis = report::log_axis(options.x);
  if (options.key.empty()) options.key = usual_key(options, axis);
  report::LineChart chart{.title = options.title.empty() ? options.event + ": " + options.key : options.title,
                          .subtitle = "",
                          .x_label = std::string(axis.label),
                          .y_label = options.key,
                          .series = {}};
  for (const std::string& run : options.runs) chart.series.push_back(series_of(run, options, axis));
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
  command.add_option("RUN", options->runs, "run directories; at most 12")->required();
  command.add_option("--event", options->event, "which lines of the log: validation or update")
      ->capture_default_str();
  command.add_option("--key", options->key,
                     "which number of them: bleu, accuracy, loss, nll, perplexity ...; else bleu or "
                     "accuracy, or loss where a "
                     "run has neither");
  command
      .add_option("--x", options->x,
                  "the x axis: updates, share (of each run's updates), minutes, cpu-minutes or flops")
      ->capture_default_str();
  command.add_option("--title", options->title, "above the picture");
  command.add_option("--output", options->output, "file to write; without it, standard output");
}

}  // namespace megin::cli
