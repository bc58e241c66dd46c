// megin export: a model of experts as a dense one.
#include <fmt/format.h>

#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/rewritten_model.h"
#include "config/dispatch.h"

namespace megin::cli {
namespace {

struct ExportOptions {
  std::string model, output;
  std::string path;
  bool mean = false, all = false;
};

void export_dense(const ExportOptions& options, CommandContext& context) {
  if (static_cast<int>(!options.path.empty()) + options.mean + options.all != 1) {
    fail_usage("wanted one of --path E, --mean and --all, which say what of the experts is kept");
  }
  const std::string how = options.mean  ? "the mean of its experts"
                          : options.all ? "all experts as one feed-forward"
                                        : "experts " + options.path;
  write_rewritten(options.model, options.output, how, context,
                  [&](const config::ModelConfig& model, const store::TensorLookup& tensors) {
                    if (options.mean) return store::take_mean(model, tensors);
                    if (options.all) return store::take_all(model, tensors);
                    return store::take_path(model, tensors,
                                            config::parse_dispatch("path:" + options.path, 1).path);
                  });
}

}  // namespace

void add_export_command(Program& program) {
  auto options = std::make_shared<ExportOptions>();
  CLI::App& command = program.add({.name = "export",
                                   .summary = "Make a dense model out of one with experts",
                                   .details = "Writes a dense model directory: one expert of each expert "
                                              "layer (--path), the mean of the experts' "
                                              "weights (--mean), or all of them as one wide feed-forward "
                                              "(--all, of models that give all experts "
                                              "equal shares, as megin convert makes them).",
                                   .examples = "megin export runs/thor first --path 0\n"
                                               "megin export runs/thor merged --mean\n"
                                               "megin export elastic dense --all"},
                                  [options](CommandContext& context) { export_dense(*options, context); });
  command.add_option("MODEL", options->model, "a model directory, or a run directory with one")
      ->required()
      ->type_name("");
  command
      .add_option("OUT", options->output, "the model directory to write; a model that is there is replaced")
      ->required()
      ->type_name("");
  command
      .add_option("--path", options->path, "this expert in all expert layers, or E,E,... with one for each")
      ->type_name("E");
  command.add_flag("--mean", options->mean, "the mean of the experts' weights");
  command.add_flag("--all", options->all, "all experts side by side");
}

}  // namespace megin::cli
