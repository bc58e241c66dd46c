// megin train: a model from prepared data.
#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.h"
#include "cli/config_options.h"
#include "cli/model_path.h"
#include "train/library_threads.h"
#include "train/training.h"

namespace megin::cli {
namespace {

struct TrainCommandOptions {
  ConfigOptions config;
  bool resume = false;
  std::string from;
};

nlohmann::ordered_json to_json(const train::TrainingResult& result) {
  nlohmann::ordered_json json = {{"model", result.model},
                                 {"updates", result.update},
                                 {"stopped_by", result.reason},
                                 {"minutes", result.seconds / 60},
                                 {"target_tokens_per_second", result.target_tokens_per_second}};
  if (result.best) {
    json["best_update"] = result.best->update;
    json["valid_loss"] = result.best->loss;
    if (result.best->bleu) json["valid_bleu"] = *result.best->bleu;
    if (result.best->accuracy) json["valid_accuracy"] = *result.best->accuracy;
  }
  return json;
}

// A word as a shell takes it.
std::string quoted(const std::string& word) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-+=./,:@%";
  if (!word.empty() && word.find_first_not_of(kPlain) == word.npos) return word;
  std::string text = "'";
  for (const char c : word) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

std::string resume_command(const ConfigOptions& config) {
  std::string text = "megin train " + quoted(config.file);
  for (const std::string& field : config.overrides) text += " --set " + quoted(field);
  return text + " --resume";
}

std::string to_text(const train::TrainingResult& result, const ConfigOptions& config) {
  if (result.interrupted) {
    return fmt::format("stopped by a signal after update {}; continue with: {}\n", result.update,
                       resume_command(config));
  }
  std::string text =
      fmt::format("trained {} updates in {:.1f} minutes ({:.0f} target tokens/s), stopped by {}\n",
                  result.update, result.seconds / 60, result.target_tokens_per_second, result.reason);
  if (result.best) {
    text += fmt::format("best validation: update {}, loss {:.3f}", result.best->update, result.best->loss);
    if (result.best->bleu) text += fmt::format(", BLEU {:.2f}", *result.best->bleu);
    if (result.best->accuracy) text += fmt::format(", accuracy {:.2f} %", 100 * *result.best->accuracy);
    text += "\n";
  }
  return text + fmt::format("model: {}\n", result.model);
}

void train_model(const TrainCommandOptions& options, CommandContext& context) {
  train::restart_with_passive_waits();
  const config::RunConfig config = load_config(options.config);
  config::require_for_train(config);
  // A run that goes on knows its own.
  const bool wanted = !options.from.empty() && !(options.resume && !std::filesystem::exists(options.from));
  const std::string from = wanted ? find_model(options.from).string() : "";
  const train::TrainingResult result =
      train::run_training(config, {.resume = options.resume, .from = from}, context.console);
  if (context.json) {
    context.out << to_json(result).dump() << "\n";
  } else {
    context.out << to_text(result, options.config);
  }
}

}  // namespace

void add_train_command(Program& program) {
  auto options = std::make_shared<TrainCommandOptions>();
  CLI::App& command = program.add(
      {.name = "train",
       .summary = "Train a model on prepared data",
       .details = "Reads the sections model and train of a recipe and the folder that `megin prepare` wrote, "
                  "and makes a run\n"
                  "directory: the resolved configuration, log.jsonl, TensorBoard events, checkpoints and "
                  "model/. A run that was\n"
                  "stopped (Ctrl-C, SIGTERM) or killed goes on exactly where it was with --resume.",
       .examples = "megin train recipes/multi30k/thor_tiny.yaml\n"
                   "megin train recipe.yaml --set train.seed=2 --set train.run=runs/seed2\n"
                   "megin train recipe.yaml --resume\n"
                   "megin train recipe.yaml --from elastic --set train.run=runs/healed\n"
                   "megin train recipes/smoe_dropout/sst2/smoe_dropout_tiny.yaml"},
      [options](CommandContext& context) { train_model(*options, context); });
  add_config_options(command, options->config);
  command.add_flag("--resume", options->resume,
                   "continue the run from its newest good checkpoint (start it if there is none)");
  command
      .add_option(
          "--from", options->from,
          "begin with the weights of this model (or run) directory, of the same dimensions and subwords; a "
          "classifier begins with a language model's and draws its head")
      ->type_name("MODEL");
}

}  // namespace megin::cli
