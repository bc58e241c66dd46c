// megin report: one or more trainings on one page, for a browser or as numbers.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "base/files.h"
#include "cli/command.h"
#include "cli/output_file.h"
#include "cli/report_curves.h"
#include "cli/report_groups.h"
#include "cli/report_routing.h"
#include "cli/report_settings.h"
#include "cli/report_summary.h"
#include "cli/seed_results.h"
#include "report/html_page.h"
#include "report/markup.h"

namespace megin::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

struct ReportOptions {
  std::vector<std::string> runs;
  std::vector<std::string> consistency;  // files of `megin evaluate --seeds K --json`
  std::string title = "Trainings";
  std::string output;
  std::string csv;
  std::string svg;
};

// The numbers of --consistency.
struct Consistency {
  std::string key;  // bleu or loss
  std::vector<SeedResults> files;
};

Consistency read_consistency(const std::vector<std::string>& files) {
  if (files.empty()) return {};
  const std::string key = usual_seed_key(files);
  return {.key = key, .files = read_seed_results(files, key)};
}

// A page and the pictures on it.
class ReportPage {
 public:
  explicit ReportPage(const std::string& title) : page_(title) {}

  void add_runs(const std::vector<RunGroup>& groups) {
    add_summary_table(page_, groups);
    if (auto pictures = comparison_curves(groups); !pictures.empty()) {
      page_.heading("Curves");
      add(std::move(pictures));
    }
  }

  void add_consistency(const Consistency& consistency) {
    if (consistency.files.empty()) return;
    page_.heading("Spread over seeds of the experts' draws");
    page_.paragraph(fmt::format(
        "One model and one test set each, with experts drawn anew: {}; the variance is over n - 1.",
        seed_key_label(consistency.key)));
    page_.table(seed_table_columns(), seed_table_rows(consistency.files));
    add({Picture{"consistency-" + consistency.key, seed_violins_svg(consistency.files, consistency.key)}});
  }

  void add_experts(const std::vector<RunGroup>& groups) {
    if (auto picture = fluctuation_picture(groups)) {
      page_.heading("Routing fluctuation");
      page_.paragraph(
          "The share of the validation set's tokens whose expert still changed later than so much of the "
          "training, over the tokens of all expert layers.");
      add({std::move(*picture)});
    }
    for (const RunGroup& group : groups) {
      const auto of_group = add_routing(page_, group);
      pictures_.insert(pictures_.end(), of_group.begin(), of_group.end());
    }
  }

  void add_run_settings(const std::vector<ReportedRun>& runs, const std::vector<RunGroup>& groups) {
    add_settings(page_, runs, groups);
  }

  std::string html() const { return page_.html(); }
  const std::vector<Picture>& pictures() const { return pictures_; }

 private:
  void add(std::vector<Picture> pictures) {
    add_charts(page_, pictures);
    pictures_.insert(pictures_.end(), pictures.begin(), pictures.end());
  }

  report::HtmlPage page_;
  std::vector<Picture> pictures_;
};

void write_csv(const std::string& path, const std::vector<ReportedRun>& runs, CommandContext& context) {
  OutputFile file(path, context.out);
  file.stream() << "run,event,stack,layer,update,key,value\n";
  for (const ReportedRun& run : runs) {
    const std::string name = report::csv_field(run.name);
    for (const json& line : run.log.lines()) {
      const std::string layer = line.contains("layer") ? line.at("layer").dump() : "";
      for (const auto& [key, value] : line.items()) {
        if (!value.is_number() || key == "update" || key == "layer") continue;
        file.stream() << name << ',' << line.value("event", "") << ',' << line.value("stack", "") << ','
                      << layer << ',' << line.value("update", int64_t{0}) << ',' << key << ',' << value.dump()
                      << '\n';
      }
    }
  }
  file.commit();
}

void write_pictures(const fs::path& folder, const std::vector<Picture>& pictures) {
  fs::create_directories(folder);
  for (const Picture& picture : pictures) {
    write_file_atomically(folder / (picture.name + ".svg"), picture.svg);
  }
}

// Every run by itself; groups only where they hold several.
nlohmann::ordered_json to_json(const std::vector<ReportedRun>& runs, const std::vector<RunGroup>& groups,
                               const Consistency& consistency) {
  nlohmann::ordered_json result = {{"runs", nlohmann::ordered_json::array()},
                                   {"differences", differing_keys(runs)},
                                   {"groups", nlohmann::ordered_json::array()}};
  for (const ReportedRun& run : runs) result["runs"].push_back(run_summary(run));
  for (const RunGroup& group : groups) {
    if (group.of_seeds()) result["groups"].push_back(group_summary(group));
  }
  if (!consistency.files.empty()) {
    result["consistency"] = seed_results_json(consistency.files, consistency.key);
  }
  return result;
}

void report_runs(const ReportOptions& options, CommandContext& context) {
  const std::vector<ReportedRun> runs = read_runs(options.runs);
  const std::vector<RunGroup> groups = group_runs(runs);
  const Consistency consistency = read_consistency(options.consistency);

  ReportPage page(options.title);
  page.add_runs(groups);
  page.add_consistency(consistency);
  page.add_experts(groups);
  page.add_run_settings(runs, groups);

  if (!options.csv.empty()) write_csv(options.csv, runs, context);
  if (!options.svg.empty()) write_pictures(options.svg, page.pictures());
  if (!options.output.empty() || !context.json) {
    OutputFile file(options.output, context.out);
    file.stream() << page.html();
    file.commit();
  }
  if (context.json) context.out << to_json(runs, groups, consistency).dump() << "\n";
}

}  // namespace

void add_report_command(Program& program) {
  auto options = std::make_shared<ReportOptions>();
  CLI::App& command = program.add(
      {.name = "report",
       .summary = "Show trainings side by side: one HTML page with curves, loads and settings",
       .details =
           "Reads log.jsonl, config.yaml and routing/ of each run. The page holds all it needs and opens "
           "without a network.\n"
           "Runs whose settings differ only in train.seed are one group: one line, the mean at each update "
           "that all its seeds have reached, and one row, mean ± standard deviation (n - 1). A group is "
           "named as its runs are without -SEED, else by the first of them. At most 12 groups, of any "
           "number of runs.\n"
           "Language models are shown by perplexity, by token and by word. Runs with routes of their "
           "validations get a chart of routing fluctuation, over the tokens of all expert layers (`megin "
           "analyze fluctuation` tells layers apart).\n"
           "--json prints the table of single runs, the keys in which they differ, and mean and deviation "
           "of groups; the page is then written only with --output. --csv has single runs.",
       .examples = "megin report runs/mine --output mine.html\n"
                   "megin report runs/dense runs/switch runs/thor --output compare.html --svg pictures "
                   "--csv all.csv\n"
                   "megin report runs/compare/*-[123] --output seeds.html\n"
                   "megin report runs/thor runs/switch --consistency thor.json switch.json --output "
                   "compare.html"},
      [options](CommandContext& context) { report_runs(*options, context); });
  command
      .add_option("RUN", options->runs,
                  "run directories; those that differ only in the seed are one group, at most 12 groups")
      ->required();
  command.add_option("--consistency", options->consistency,
                     "files of `megin evaluate --seeds K --json`, for violins: BLEU where all have it, else "
                     "the loss; after the runs, at most 12");
  command.add_option("--title", options->title, "above the page")->capture_default_str();
  command.add_option("--output", options->output, "HTML file to write; without it, standard output");
  command.add_option("--csv", options->csv, "file for every number of the logs, one a line");
  command.add_option("--svg", options->svg, "folder for each chart as a picture of its own");
}

}  // namespace megin::cli
