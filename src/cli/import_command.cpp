// megin import: a checkpoint of another program as a model.
#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/human_text.h"
#include "cli/command.h"
#include "config/enums.h"
#include "exchange/model_exchange.h"
#include "store/model_size.h"

namespace megin::cli {
namespace {

struct ImportOptions {
  std::string source, output;
};

void import_checkpoint(const ImportOptions& options, CommandContext& context) {
  if (!std::filesystem::is_directory(options.source)) {
    fail_usage("{}: wanted a folder with config.json, tokenizer files and weights, found {}", options.source,
               std::filesystem::exists(options.source) ? "a file" : "nothing");
  }
  const store::ModelDescription model = exchange::import_model(options.source, options.output);
  const int64_t parameters = store::count_parameters(model.model).total();
  const std::string_view kind = config::enum_name(model.model.kind);
  if (!context.json) {
    context.out << fmt::format("{}: {} as {}, {} parameters", options.output, model.provenance.method, kind,
                               grouped(parameters));
    if (!model.classes.empty()) context.out << fmt::format(", classes: {}", fmt::join(model.classes, ", "));
    context.out << "\n";
    return;
  }
  nlohmann::ordered_json json = {{"model", options.output},
                                 {"from", options.source},
                                 {"how", model.provenance.method},
                                 {"kind", kind},
                                 {"parameters", parameters}};
  if (!model.classes.empty()) json["classes"] = model.classes;
  context.out << json.dump() << "\n";
}

}  // namespace

void add_import_command(Program& program) {
  auto options = std::make_shared<ImportOptions>();
  CLI::App& command = program.add(
      {.name = "import",
       .summary = "Make a model out of a dense checkpoint of another program",
       .details =
           "Reads a folder as transformers saves it (config.json, tokenizer files, and model.safetensors or "
           "pytorch_model.bin) and writes a model directory that computes the same: GPT-2 as a language "
           "model, BERT and RoBERTa as masked language models or classifiers of texts, Marian (opus-mt) and "
           "T5 as translators. "
           "Nothing in a pytorch_model.bin is run: what is no tensor and no plain container is refused by "
           "name. megin export --format huggingface writes it back.",
       .examples = "megin import downloads/opus-mt-de-en opus\n"
                   "megin import downloads/gpt2 gpt2\n"
                   "megin import downloads/t5-small t5\n"
                   "megin import downloads/bert-base-uncased bert\n"
                   "megin import downloads/bert-sst2 sst2\n"
                   "megin convert opus elastic --to-experts 8"},
      [options](CommandContext& context) { import_checkpoint(*options, context); });
  command.add_option("SOURCE", options->source, "the folder of the checkpoint")->required()->type_name("");
  command
      .add_option("OUT", options->output, "the model directory to write; a model that is there is replaced")
      ->required()
      ->type_name("");
}

}  // namespace megin::cli
