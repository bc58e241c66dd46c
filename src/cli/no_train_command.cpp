// Twin of train_command.cpp for builds without libtorch.
#include "base/error.h"
#include "cli/command.h"

namespace megin::cli {

void add_train_command(Program& program) {
  CLI::App& command = program.add(
      {.name = "train",
       .summary = "Train a model (not in this build)",
       .details = "This build serves models and has no training. Configure with the preset `release`.",
       .examples = "cmake --preset release && cmake --build --preset release"},
      [](CommandContext&) {
        fail_usage(
            "this build of megin has no training, it was made without libtorch; install libtorch "
            "(scripts/install_dependencies.sh), build with 'cmake --preset release && cmake --build --preset "
            "release' and run build/release/megin train");
      });
  command.allow_extras();
}

}  // namespace megin::cli
