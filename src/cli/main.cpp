#include <csignal>
#include <iostream>
#include <string>
#include <vector>

#include "cli/command.h"

int main(int argc, char** argv) {
  // A reader that goes away (`megin translate ... | head`) ends the program as it ends every other filter,
  // also when our parent ignored the signal.
  std::signal(SIGPIPE, SIG_DFL);
  std::ios::sync_with_stdio(false);
  std::cin.tie(nullptr);
  megin::cli::Program program;
  megin::cli::add_commands(program);
  return program.run({argv + 1, argv + argc},
                     {.in = std::cin, .out = std::cout, .screen = megin::standard_error()});
}
