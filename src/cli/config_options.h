// How a command takes a recipe: CONFIG, --set and --help-config.
#pragma once

#include <string>
#include <vector>

#include "cli/command.h"
#include "config/run_config.h"

namespace megin::cli {

struct ConfigOptions {
  std::string file;
  std::vector<std::string> overrides;
};

// Adds the argument CONFIG (required), --set KEY=VALUE (as often as wanted) and --help-config, which prints
// the table of all fields.
void add_config_options(CLI::App& command, ConfigOptions& options);

// The resolved recipe (config/run_config.h).
config::RunConfig load_config(const ConfigOptions& options);

}  // namespace megin::cli
