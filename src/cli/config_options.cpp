#include "cli/config_options.h"

namespace megin::cli {

void add_config_options(CLI::App& command, ConfigOptions& options) {
  command.add_option("CONFIG", options.file, "recipe (YAML) with the sections data, model and train")
      ->required();
  command
      .add_option("--set", options.overrides,
                  "change a field of the recipe, as train.seed=2; may be repeated")
      ->type_name("KEY=VALUE")
      ->expected(1)
      ->take_all()
      ->allow_extra_args(false);
  command
      .add_flag_callback(
          "--help-config", [] { throw TextRequested{config::field_table()}; },
          "print every field of a recipe with default and meaning, and exit")
      ->trigger_on_parse();
}

config::RunConfig load_config(const ConfigOptions& options) {
  return config::load_run_config(options.file, options.overrides);
}

}  // namespace megin::cli
