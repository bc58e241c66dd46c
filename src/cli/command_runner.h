// For tests: runs commands as the program would, with their output and messages in memory.
#pragma once

#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "cli/command.h"

namespace megin::cli {

class ProgramRunner {
 public:
  explicit ProgramRunner(std::vector<void (*)(Program&)> commands) : commands_(std::move(commands)) {}

  // The exit code. output() and errors() are those of the last call.
  int run(std::vector<std::string> arguments, const std::string& input = "") {
    std::istringstream in(input);
    std::ostringstream out;
    errors_.clear();
    Program program;
    for (const auto& add : commands_) add(program);
    const int code = program.run(
        std::move(arguments),
        {.in = in,
         .out = out,
         .screen = {.write = [this](std::string_view text) { errors_ += text; }, .width = [] { return 0; }}});
    output_ = out.str();
    return code;
  }

  const std::string& output() const { return output_; }
  const std::string& errors() const { return errors_; }

 private:
  std::vector<void (*)(Program&)> commands_;
  std::string output_, errors_;
};

class CommandRunner {
 public:
  CommandRunner(std::string name, void (*add)(Program&)) : name_(std::move(name)), program_({add}) {}

  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), name_);
    return program_.run(std::move(arguments));
  }

  const std::string& output() const { return program_.output(); }
  const std::string& errors() const { return program_.errors(); }

 private:
  std::string name_;
  ProgramRunner program_;
};

}  // namespace megin::cli
