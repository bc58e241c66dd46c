// megin prepare: data to train on, out of parallel corpora.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/human_text.h"
#include "base/processors.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/config_options.h"
#include "data/prepare.h"

namespace megin::cli {
namespace {

// More corpora than this are shown as their sum; report.md lists them all.
constexpr size_t kMostCorporaOnScreen = 12;

struct PrepareCommandOptions {
  ConfigOptions config;
  std::string task;  // empty: the recipe's
  bool overwrite = false;
};

nlohmann::ordered_json to_json(const data::PrepareReport& report) {
  nlohmann::ordered_json json = {{"data", report.folder},
                                 {"fingerprint", report.fingerprint},
                                 {"source_language", report.source_language},
                                 {"target_language", report.target_language},
                                 {"source_vocabulary", report.source_vocabulary},
                                 {"target_vocabulary", report.target_vocabulary}};
  json.update(data::report_to_json(report));
  return json;
}

void prepare_data(const PrepareCommandOptions& options, CommandContext& context) {
  ConfigOptions recipe = options.config;
  if (!options.task.empty()) recipe.overrides.push_back("data.task=" + options.task);
  const config::RunConfig config = load_config(recipe);
  config::require_for_prepare(config);
  const StopSignal stop;
  const double start = system_clock().steady_seconds();
  const auto existing = options.overwrite ? data::Existing::kReplace : data::Existing::kRefuse;
  const data::PrepareReport report = data::prepare(config.data, existing, context.console);
  if (context.json) {
    context.out << to_json(report).dump() << "\n";
    return;
  }
  context.out << data::report_to_text(report, kMostCorporaOnScreen)
              << fmt::format("\nwritten to {}\n", report.folder);
  if (context.quiet) return;
  context.console.print(fmt::format("took {}, at most {} of memory; next: megin train {}",
                                    human_duration(system_clock().steady_seconds() - start),
                                    human_bytes(process_usage().peak_resident_bytes), options.config.file));
}

}  // namespace

void add_prepare_command(Program& program) {
  auto options = std::make_shared<PrepareCommandOptions>();
  CLI::App& command = program.add(
      {.name = "prepare",
       .summary = "Make training data out of parallel corpora or a text",
       .details =
           "Reads the section data of a recipe: corpora (plain pairs, TSV, TMX, PO, MO; "
           "also .gz and .zst) are cleaned,\n"
           "deduplicated and split, a subword model is trained or taken over, and "
           "everything is written to the folder\n"
           "data.output as token shards with a report of what was dropped and why. The "
           "folder is whole or not there.\n"
           "With data.task: language_model the corpora are one running text, taken as it is; with bytes "
           "its symbols are single bytes.\n"
           "With classification they are TSV files of a sentence and its label.",
       .examples = "megin prepare recipes/multi30k/thor_tiny.yaml\n"
                   "megin prepare recipe.yaml --set data.subword.vocabulary=4000 --overwrite\n"
                   "megin prepare text.yaml --task bytes --set data.bytes.newlines=drop"},
      [options](CommandContext& context) { prepare_data(*options, context); });
  add_config_options(command, options->config);
  command.add_option(
      "--task", options->task,
      "what the data is for: translation, language_model, bytes or classification; short for --set "
      "data.task=TASK");
  command.add_flag("--overwrite", options->overwrite, "replace the prepared data that stands in data.output");
}

}  // namespace megin::cli
