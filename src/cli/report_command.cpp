// megin report: one or more trainings on one page, for a browser or as numbers.
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <set>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/output_file.h"
#include "config/value.h"
#include "report/html_page.h"
#include "report/run_log.h"

namespace megin::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using report::Align;

struct ReportOptions {
  std::vector<std::string> runs;
  std::string title = "Trainings";
  std::string output;
  std::string csv;
  std::string svg;
};

using Settings = std::map<std::string, std::string>;  // dotted key to value

void flatten(const config::Value& value, const std::string& path, Settings& settings) {
  switch (value.kind) {
    case config::Value::Kind::kMap:
      for (const config::Member& member : value.members) {
        flatten(member.value, path.empty() ? member.key : path + "." + member.key, settings);
      }
      return;
    case config::Value::Kind::kList:
      for (size_t i = 0; i < value.items.size(); ++i) {
        flatten(value.items[i], fmt::format("{}.{}", path, i), settings);
      }
      return;
    case config::Value::Kind::kText:
      settings[path] = value.text;
      return;
    case config::Value::Kind::kNothing:
      settings[path] = "";
  }
}

struct Run {
  std::string name;  // by which the page tells it from the others
  report::RunLog log;
  std::string config;  // config.yaml as it lies there
  Settings settings;
};

Run read_run(const std::string& folder) {
  Run run{.name = {}, .log = report::RunLog(folder), .config = {}, .settings = {}};
  const fs::path file = run.log.folder() / "config.yaml";
  if (!fs::exists(file)) return run;
  run.config = read_file(file);
  flatten(config::parse_yaml(run.config, file.string()), "", run.settings);
  return run;
}

// The last parts of each run's path, as many as it takes to tell all of them apart.
void name_runs(std::vector<Run>& runs) {
  const auto last_parts = [](const fs::path& path, int count) {
    fs::path name = path.filename(), rest = path.parent_path();
    for (; count > 1 && rest.has_filename(); --count, rest = rest.parent_path())
      name = rest.filename() / name;
    return name.string();
  };
  constexpr int kMostParts = 20;
  for (int parts = 1; parts <= kMostParts; ++parts) {
    std::set<std::string> names;
    for (Run& run : runs) names.insert(run.name = last_parts(run.log.folder(), parts));
    if (names.size() == runs.size()) return;
  }
}

// How the latest session ended; null while it runs, or when it was killed.
const json* latest_end(const Run& run) {
  const json* end = nullptr;
  for (const json& line : run.log.lines()) {
    const std::string event = line.value("event", "");
    if (event == "start") end = nullptr;
    if (event == "end") end = &line;
  }
  return end;
}

// Over the whole training: its intervals have the same number of updates, but for the last.
void add_speed(const Run& run, nlohmann::ordered_json& of) {
  double tokens = 0, seconds = 0, memory = 0;
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") != "update") continue;
    memory = std::max(memory, line.value("peak_resident_mib", 0.0));
    const double rate = line.value("target_tokens_per_second", 0.0);
    if (rate <= 0) continue;
    const double count = line.value("target_tokens_per_update", 1.0);
    tokens += count;
    seconds += count / rate;
  }
  if (seconds > 0) of["target_tokens_per_second"] = tokens / seconds;
  if (memory > 0) of["peak_resident_mib"] = memory;
}

// The last line of an event that has the key; null when there is none.
const json* last_line(const Run& run, std::string_view event, std::string_view key) {
  const json* found = nullptr;
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") == event && line.contains(key)) found = &line;
  }
  return found;
}

// The validation that the run itself counts as its best.
const json* best_validation(const Run& run) {
  const bool by_loss = run.settings.contains("train.validation.best_by") &&
                       run.settings.at("train.validation.best_by") == "loss";
  const json* best = nullptr;
  const auto merit = [&](const json& line) {
    return !by_loss && line.contains("bleu") ? line.at("bleu").get<double>() : -line.value("loss", 0.0);
  };
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") != "validation") continue;
    if (best == nullptr || merit(line) > merit(*best)) best = &line;
  }
  return best;
}

// What the table and --json say of a run. A key is left out where the log has no such number.
nlohmann::ordered_json summary(const Run& run) {
  nlohmann::ordered_json of = {{"run", run.name}};
  const auto setting = [&](const char* name, const char* key) {
    if (run.settings.contains(key)) of[name] = run.settings.at(key);
  };
  setting("method", "train.method");
  setting("experts", "model.experts.count");
  setting("seed", "train.seed");
  if (const json* update = last_line(run, "update", "update")) of["updates"] = update->at("update");
  add_speed(run, of);
  for (const char* key : {"minutes", "cpu_minutes", "flops"}) {
    if (const json* line = last_line(run, "update", key)) of[key] = line->at(key);
  }
  if (const json* end = latest_end(run)) of["ended_by"] = end->value("reason", "");
  if (const json* best = best_validation(run)) {
    of["best"] = {{"update", best->at("update")}, {"loss", best->value("loss", 0.0)}};
    if (best->contains("bleu")) of["best"]["bleu"] = best->at("bleu");
    if (best->contains("signature")) of["best"]["signature"] = best->at("signature");
  }
  return of;
}

std::string number(const nlohmann::ordered_json& object, const char* key, int decimals, double unit = 1) {
  if (!object.contains(key)) return "";
  const auto& value = object.at(key);
  if (value.is_string()) return value.get<std::string>();
  return fmt::format("{:.{}f}", value.get<double>() / unit, decimals);
}

void add_summaries(report::HtmlPage& page, const std::vector<Run>& runs) {
  const std::vector<report::Column> columns = {{"run"},
                                               {"method"},
                                               {"experts", Align::kRight},
                                               {"seed", Align::kRight},
                                               {"updates", Align::kRight},
                                               {"best valid. loss", Align::kRight},
                                               {"BLEU", Align::kRight},
                                               {"at update", Align::kRight},
                                               {"TFLOP", Align::kRight},
                                               {"minutes", Align::kRight},
                                               {"CPU minutes", Align::kRight},
                                               {"target tokens/s", Align::kRight},
                                               {"peak MiB", Align::kRight},
                                               {"ended by"}};
  std::vector<std::vector<std::string>> rows;
  for (const Run& run : runs) {
    const auto of = summary(run);
    const nlohmann::ordered_json best = of.value("best", nlohmann::ordered_json::object());
    rows.push_back(
        {of.at("run").get<std::string>(), number(of, "method", 0), number(of, "experts", 0),
         number(of, "seed", 0), number(of, "updates", 0), number(best, "loss", 3), number(best, "bleu", 2),
         number(best, "update", 0), number(of, "flops", 1, 1e12), number(of, "minutes", 1),
         number(of, "cpu_minutes", 1), number(of, "target_tokens_per_second", 0),
         number(of, "peak_resident_mib", 0),
         of.contains("ended_by") ? of.at("ended_by").get<std::string>() : "still running, or killed"});
  }
  page.table(columns, rows);
}

// A chart, and the name of its file with --svg.
struct Picture {
  std::string name, svg;
};

// One line for each run that has the number.
std::optional<Picture> compare(const std::vector<Run>& runs, std::string_view event, const std::string& key,
                               const report::LogAxis& axis, const std::string& title) {
  report::LineChart chart{
      .title = title, .subtitle = "", .x_label = std::string(axis.label), .y_label = key, .series = {}};
  for (size_t i = 0; i < runs.size(); ++i) {
    auto points = runs[i].log.curve(event, key, axis);
    if (points.empty()) continue;
    chart.series.push_back({.name = runs[i].name, .points = std::move(points), .look = static_cast<int>(i)});
  }
  if (chart.series.empty()) return std::nullopt;
  return Picture{fmt::format("{}-{}-by-{}", event, key, axis.name), line_chart_svg(chart)};
}

std::vector<Picture> curves(const std::vector<Run>& runs) {
  std::vector<Picture> pictures;
  const auto add = [&](std::string_view event, const std::string& key, std::string_view axis,
                       const std::string& title) {
    const report::LogAxis& by = report::log_axis(axis);
    const bool drawable = std::ranges::all_of(runs, [&](const Run& run) {
      return last_line(run, event, key) == nullptr || last_line(run, event, by.key) != nullptr;
    });
    if (!drawable) return;
    if (auto picture = compare(runs, event, key, by, title)) pictures.push_back(std::move(*picture));
  };
  for (const char* axis : {"updates", "flops", "cpu-minutes"}) {
    add("validation", "bleu", axis, "Validation BLEU");
    add("validation", "loss", axis, "Validation loss, nats a token");
  }
  add("update", "nll", "updates", "Training loss, nats a token");
  add("update", "consistency", "updates", "Consistency between passes, nats a token");
  add("update", "gradient_norm", "updates", "Gradient norm");
  add("update", "target_tokens_per_second", "updates", "Speed, target tokens a second");
  return pictures;
}

std::string place_name(const std::string& stack, int64_t layer) {
  return stack == "mixture" ? stack : fmt::format("{} {}", stack, layer);
}

// Of a mixture one line for each component, as Figures 2 and 3 of the THOR paper.
std::vector<Picture> mixture_curves(const Run& run) {
  std::vector<Picture> pictures;
  for (const auto& [key, title] : std::vector<std::pair<std::string, std::string>>{
           {"load", "Load: share of sentences that a component explains best"},
           {"confidence", "Confidence: its mean responsibility for them"}}) {
    report::LineChart chart{
        .title = title, .subtitle = run.name, .x_label = "updates", .y_label = key, .series = {}};
    for (size_t z = 0;; ++z) {
      const std::string own = fmt::format("{}_{}", key, z);
      auto points = run.log.curve("routing", own, report::log_axis("updates"),
                                  [](const json& line) { return line.value("stack", "") == "mixture"; });
      if (points.empty()) break;
      chart.series.push_back({.name = fmt::format("component {}", z), .points = std::move(points)});
    }
    if (chart.series.empty()) continue;
    std::string file = fmt::format("{}-mixture-{}", run.name, key);
    std::ranges::replace(file, '/', '-');
    pictures.push_back({std::move(file), line_chart_svg(chart)});
  }
  return pictures;
}

// One line for each expert layer of a run, as many as can be told apart.
std::vector<Picture> routing_curves(const Run& run) {
  constexpr size_t kMostLayers = 8;
  std::vector<std::pair<std::string, int64_t>> layers;
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") != "routing") continue;
    const std::pair<std::string, int64_t> layer(line.value("stack", ""), line.value("layer", int64_t{0}));
    if (std::ranges::find(layers, layer) == layers.end() && layers.size() < kMostLayers)
      layers.push_back(layer);
  }
  std::vector<Picture> pictures;
  for (const auto& [key, title] : std::vector<std::pair<std::string, std::string>>{
           {"highest_load", "Highest load of an expert, relative to an equal share"},
           {"lowest_load", "Lowest load of an expert, relative to an equal share"},
           {"confidence", "Confidence: mean share of the first choice"},
           {"entropy", "Entropy over experts, nats"},
           {"dropped", "Share of choices dropped"},
           {"balance", "Balance loss"},
           {"distillation", "Distillation loss, nats"}}) {
    report::LineChart chart{
        .title = title, .subtitle = run.name, .x_label = "updates", .y_label = key, .series = {}};
    for (const auto& of : layers) {
      auto points = run.log.curve("routing", key, report::log_axis("updates"), [&of](const json& line) {
        return line.value("stack", "") == of.first && line.value("layer", int64_t{-1}) == of.second;
      });
      if (points.empty()) continue;
      chart.series.push_back({.name = place_name(of.first, of.second), .points = std::move(points)});
    }
    const bool all_zero = std::ranges::all_of(chart.series, [](const report::Series& series) {
      return std::ranges::all_of(series.points, [](const report::Point& point) { return point.y == 0; });
    });
    if (!all_zero) {
      std::string file = fmt::format("{}-routing-{}", run.name, key);
      std::ranges::replace(file, '/', '-');
      pictures.push_back({std::move(file), line_chart_svg(chart)});
    }
  }
  std::ranges::move(mixture_curves(run), std::back_inserter(pictures));
  return pictures;
}

// The loads of each expert layer at the end, as shares of an equal one.
void add_loads(report::HtmlPage& page, const Run& run) {
  std::map<std::pair<bool, int64_t>, const json*> last;  // encoder first
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") == "routing")
      last[{line.value("stack", "") != "encoder", line.value("layer", int64_t{0})}] = &line;
  }
  std::vector<report::Column> columns = {{"layer"}};
  std::vector<std::vector<std::string>> rows;
  size_t experts = 0;
  for (const auto& [layer, line] : last) {
    rows.push_back({place_name(line->value("stack", ""), layer.second)});
    for (size_t e = 0; line->contains(fmt::format("load_{}", e)); ++e) {
      rows.back().push_back(fmt::format("{:.1f}", 100 * line->at(fmt::format("load_{}", e)).get<double>()));
    }
    experts = std::max(experts, rows.back().size() - 1);
  }
  for (size_t e = 0; e < experts; ++e) columns.push_back({fmt::format("expert {}, %", e), Align::kRight});
  for (auto& row : rows) row.resize(columns.size());
  page.table(columns, rows);
}

// The settings in which the runs differ; the run's own folder is no difference.
std::vector<std::string> differences(const std::vector<Run>& runs) {
  std::set<std::string> keys;
  for (const Run& run : runs) {
    for (const auto& [key, value] : run.settings) keys.insert(key);
  }
  std::vector<std::string> differ;
  for (const std::string& key : keys) {
    if (key == "train.run") continue;
    std::set<std::string> values;
    for (const Run& run : runs) {
      values.insert(run.settings.contains(key) ? "=" + run.settings.at(key) : std::string("not set"));
    }
    if (values.size() > 1) differ.push_back(key);
  }
  return differ;
}

void add_differences(report::HtmlPage& page, const std::vector<Run>& runs) {
  page.heading("Settings");
  const auto keys = differences(runs);
  if (runs.size() > 1 && keys.empty()) page.paragraph("The runs have the same settings.");
  if (!keys.empty()) {
    std::vector<report::Column> columns = {{"key"}};
    for (const Run& run : runs) columns.push_back({run.name});
    std::vector<std::vector<std::string>> rows;
    for (const std::string& key : keys) {
      rows.push_back({key});
      for (const Run& run : runs)
        rows.back().push_back(run.settings.contains(key) ? run.settings.at(key) : "");
    }
    page.paragraph("Where the runs differ:");
    page.table(columns, rows);
  }
  for (const Run& run : runs) {
    if (!run.config.empty()) page.folded(fmt::format("All settings of {}", run.name), run.config);
  }
}

std::vector<std::string> svgs_of(const std::vector<Picture>& pictures) {
  std::vector<std::string> svgs;
  for (const Picture& picture : pictures) svgs.push_back(picture.svg);
  return svgs;
}

void write_csv(const std::string& path, const std::vector<Run>& runs, CommandContext& context) {
  OutputFile file(path, context.out);
  const auto quoted = [](const std::string& text) {
    if (text.find_first_of(",\"\n") == std::string::npos) return text;
    std::string escaped = "\"";
    for (const char c : text) escaped += c == '"' ? std::string("\"\"") : std::string(1, c);
    return escaped + "\"";
  };
  file.stream() << "run,event,stack,layer,update,key,value\n";
  for (const Run& run : runs) {
    for (const json& line : run.log.lines()) {
      const std::string layer = line.contains("layer") ? line.at("layer").dump() : "";
      for (const auto& [key, value] : line.items()) {
        if (!value.is_number() || key == "update" || key == "layer") continue;
        file.stream() << quoted(run.name) << ',' << line.value("event", "") << ',' << line.value("stack", "")
                      << ',' << layer << ',' << line.value("update", int64_t{0}) << ',' << key << ','
                      << value.dump() << '\n';
      }
    }
  }
  file.commit();
}

void write_pictures(const fs::path& folder, const std::vector<Picture>& pictures) {
  fs::create_directories(folder);
  for (const Picture& picture : pictures)
    write_file_atomically(folder / (picture.name + ".svg"), picture.svg);
}

void report_runs(const ReportOptions& options, CommandContext& context) {
  if (options.runs.size() > 8) {
    fail_usage("RUN: wanted at most 8 runs, which curves can tell apart; found {}", options.runs.size());
  }
  std::vector<Run> runs;
  for (const std::string& folder : options.runs) runs.push_back(read_run(folder));
  name_runs(runs);

  report::HtmlPage page(options.title);
  add_summaries(page, runs);
  std::vector<Picture> pictures = curves(runs);
  if (!pictures.empty()) {
    page.heading("Curves");
    page.charts(svgs_of(pictures));
  }
  for (const Run& run : runs) {
    const auto of_run = routing_curves(run);
    if (of_run.empty()) continue;
    page.heading(fmt::format("Routing of {}", run.name));
    page.paragraph(
        "Loads of the last interval. Curves have one line for each expert layer, the first 8 of them.");
    add_loads(page, run);
    page.charts(svgs_of(of_run));
    pictures.insert(pictures.end(), of_run.begin(), of_run.end());
  }
  add_differences(page, runs);

  if (!options.csv.empty()) write_csv(options.csv, runs, context);
  if (!options.svg.empty()) write_pictures(options.svg, pictures);
  if (!options.output.empty() || !context.json) {
    OutputFile file(options.output, context.out);
    file.stream() << page.html();
    file.commit();
  }
  if (!context.json) return;
  nlohmann::ordered_json result = {{"runs", nlohmann::ordered_json::array()},
                                   {"differences", differences(runs)}};
  for (const Run& run : runs) result["runs"].push_back(summary(run));
  context.out << result.dump() << "\n";
}

}  // namespace

void add_report_command(Program& program) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App& command = program.add(
      {.name = "report",
       .summary = "Show trainings side by side: one HTML page with curves, loads and settings",
       .details =
           "Reads log.jsonl and config.yaml of each run. The page holds all it needs and opens without a "
           "network. --json prints the table of runs and the keys in which they differ; the page is then "
           "written only with --output.",
       .examples = "megin report runs/mine --output mine.html\n"
                   "megin report runs/dense runs/switch runs/thor --output compare.html --svg pictures --csv "
                   "all.csv"},
      [options](CommandContext& context) { report_runs(*options, context); });
  command.add_option("RUN", options->runs, "run directories; at most 8")->required();
  command.add_option("--title", options->title, "above the page")->capture_default_str();
  command.add_option("--output", options->output, "HTML file to write; without it, standard output");
  command.add_option("--csv", options->csv, "file for every number of the logs, one a line");
  command.add_option("--svg", options->svg, "folder for each chart as a picture of its own");
}

}  // namespace megin::cli
