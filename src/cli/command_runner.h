// For tests: runs one command as the program would, with its output and messages in memory.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace megin::cli {

class CommandRunner {
 public:
  CommandRunner(std::string name, void (*add)(Program&)) : name_(std::move(name)), add_(add) {}

  // The exit code. output() and errors() are those of the last call.
  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), name_);
    out_.str("");
    errors_.clear();
    Streams streams{
        .in = in_,
        .out = out_,
        .screen = {.write = [this](std::string_view text) { errors_ += text; }, .width = [] { return 0; }}};
    Program program;
    add_(program);
    return program.run(std::move(arguments), streams);
  }

  std::string output() const { return out_.str(); }
  const std::string& errors() const { return errors_; }

 private:
  std::string name_;
  void (*add_)(Program&);
  std::istringstream in_;
  std::ostringstream out_;
  std::string errors_;
};

}  // namespace megin::cli
