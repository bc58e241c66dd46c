#include "cli/rewritten_model.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/human_text.h"
#include "cli/model_path.h"
#include "store/model_directory.h"
#include "store/model_size.h"

namespace megin::cli {

void add_model_and_output(CLI::App& command, const std::string& wanted, std::string& model,
                          std::string& output) {
  command.add_option("MODEL", model, wanted)->required()->type_name("");
  command.add_option("OUT", output, "the model directory to write; a model that is there is replaced")
      ->required()
      ->type_name("");
}

void write_rewritten(const std::string& given, const std::string& output, const std::string& how,
                     CommandContext& context, const Rewrite& rewrite) {
  namespace fs = std::filesystem;
  const fs::path path = find_model(given);
  if (fs::exists(output) && fs::equivalent(path, output)) {
    fail_usage("{}: is the model that is read; give another directory to write", output);
  }
  const store::ModelDirectory directory = store::open_model_directory(path);
  store::ConvertedModel rewritten;
  try {
    rewritten = rewrite(directory.description.model, [&](const std::string& name) {
      return store::float_values(directory.weights.at(name));
    });
  } catch (const UsageError& error) {
    fail_usage("{}: {}", path.string(), error.what());
  }
  store::ModelDescription description = directory.description;
  description.model = rewritten.model;
  description.provenance.method += ", " + how;
  description.provenance.scores.clear();  // nobody has measured it
  store::write_model_directory(output, description, store::views(rewritten.tensors), directory.subwords);

  const int64_t parameters = store::count_parameters(rewritten.model).total();
  if (!context.json) {
    context.out << fmt::format("{}: {}, {} parameters\n", output, how, grouped(parameters));
    return;
  }
  context.out << nlohmann::ordered_json{{"model", output},
                                        {"from", path.string()},
                                        {"how", how},
                                        {"experts", rewritten.model.experts.count},
                                        {"parameters", parameters}}
                     .dump()
              << "\n";
}

}  // namespace megin::cli
