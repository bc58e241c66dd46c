// megin export: a model of experts as a dense one, or a dense one as a checkpoint of another program.
#include <fmt/format.h>

#include <array>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/rewritten_model.h"
#include "config/dispatch.h"
#include "config/enums.h"
#include "exchange/model_exchange.h"

namespace megin::cli {
namespace {

// How the model is written: as a model directory, or as transformers has it.
enum class ExportFormat { kMegin, kHuggingFace };
constexpr auto enum_names(ExportFormat) {
  return std::array<std::string_view, 2>{"megin", "huggingface"};
}

struct ExportOptions {
  std::string model, output;
  std::string format = "megin";
  std::string files;
  std::string path;
  bool mean = false, all = false;
};

void export_foreign(const ExportOptions& options, CommandContext& context) {
  if (!options.path.empty() || options.mean || options.all) {
    fail_usage(
        "--format huggingface: wanted a dense model; make one first, with --path, --mean or --all alone");
  }
  const store::ModelDirectory model = store::open_model_directory(find_model(options.model));
  const std::filesystem::path files =
      options.files.empty() ? model.subwords.imported : std::filesystem::path(options.files);
  const std::string kind = files.empty() ? exchange::export_own_model(model, options.output)
                                         : exchange::export_model(model, files, options.output);
  if (!context.json) {
    context.out << fmt::format("{}: a {} checkpoint\n", options.output, kind);
    return;
  }
  context.out << nlohmann::ordered_json{{"checkpoint", options.output},
                                        {"from", model.path.string()},
                                        {"kind", kind}}
                     .dump()
              << "\n";
}

void export_dense(const ExportOptions& options, CommandContext& context) {
  if (config::parse_enum<ExportFormat>(options.format, "--format") == ExportFormat::kHuggingFace) {
    return export_foreign(options, context);
  }
  if (!options.files.empty()) fail_usage("--files: wanted --format huggingface with it");
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
  CLI::App& command = program.add(
      {.name = "export",
       .summary = "Make a dense model out of one with experts, or a checkpoint of another program",
       .details =
           "Writes a dense model directory: one expert of each expert "
           "layer (--path), the mean of the experts' "
           "weights (--mean), or all of them as one wide feed-forward "
           "(--all, of models that give all experts "
           "equal shares, as megin convert makes them). With --format "
           "huggingface, a dense model as transformers reads it: one that megin import wrote, or that "
           "was trained from such a one, as the checkpoint that it came from (a classifier with its own head "
           "and labels); a causal_lm of megin's own as gpt2 and an encoder_decoder as marian, where these "
           "have its settings.",
       .examples = "megin export runs/thor first --path 0\n"
                   "megin export runs/thor merged --mean\n"
                   "megin export elastic dense --all\n"
                   "megin export opus back --format huggingface\n"
                   "megin export runs/dense marian --format huggingface"},
      [options](CommandContext& context) { export_dense(*options, context); });
  add_model_and_output(command, "a model directory, or a run directory with one", options->model,
                       options->output);
  command
      .add_option("--path", options->path, "this expert in all expert layers, or E,E,... with one for each")
      ->type_name("E");
  command.add_flag("--mean", options->mean, "the mean of the experts' weights");
  command.add_option("--format", options->format, "megin, or huggingface: as transformers reads it")
      ->capture_default_str();
  command
      .add_option("--files", options->files,
                  "with huggingface: the folder of the imported model's config and tokenizer; if not given, "
                  "imported/ "
                  "in MODEL, or made up for a model of megin's own")
      ->type_name("DIR");
  command.add_flag("--all", options->all, "all experts side by side");
}

}  // namespace megin::cli
