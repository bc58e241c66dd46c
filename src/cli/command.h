// The frame of the program: what a command is, and how one is added.
//
// A command is one file, src/cli/NAME_command.cpp, that defines add_NAME_command, and one line in
// src/cli/CMakeLists.txt, megin_command(NAME NEEDS <folders>), which puts it into the table:
//
//   void add_score_command(Program& program) {
//     auto options = std::make_shared<ScoreOptions>();
//     CLI::App& command = program.add({.name = "score",
//                                      .summary = "Score a translation: BLEU, chrF, TER",
//                                      .details = "Prints one value and its signature for each metric ...",
//                                      .examples = "megin score hyp.txt --ref ref.txt\n"
//                                                  "megin translate run/model < src.txt | megin score - --ref
//                                                  ref.txt"},
//                                     [options](CommandContext& context) { score(*options, context); });
//     command.add_option("HYP", options->hypothesis, "translations, one a line; - is standard
//     input")->required();
//   }
//
// Every command has --help, --json and --quiet without asking for them. It returns when it succeeded and
// throws when it failed: UsageError for a wrong call (exit code 2), any other Error for a failure (1). Notes
// and warnings for the user are spdlog::info and spdlog::warn, which the frame sends to the console.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <iosfwd>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/console.h"

namespace megin::cli {

// Where a command reads and writes, and how much it says.
struct CommandContext {
  std::istream& in;    // standard input
  std::ostream& out;   // standard output: results only, so that it can be piped; one object with --json
  Console& console;    // standard error: progress, and what spdlog is given (notes and warnings)
  bool json = false;   // --json: the result as one JSON object
  bool quiet = false;  // --quiet: no progress and no notes; the console knows it too
};

// The world of a program; tests give their own.
struct Streams {
  std::istream& in;
  std::ostream& out;
  Screen screen;  // standard error
};

// What the help of a command says.
struct CommandText {
  std::string name;
  std::string summary;   // one line without a full stop, for the list in `megin --help`
  std::string details;   // a short paragraph under it in `megin NAME --help`; may be empty
  std::string examples;  // calls that work as they stand, one a line
};

using CommandBody = std::function<void(CommandContext&)>;

// Throw it out of an option's callback (with trigger_on_parse) to print a text on standard output and end
// with exit code 0, as --help does.
struct TextRequested {
  std::string text;
};

// The commands and the options of all of them. Not for several threads.
class Program {
 public:
  Program();

  // Adds a command and returns its parser for options of its own.
  CLI::App& add(const CommandText& text, CommandBody body);

  // Reads the arguments (without the program's name) and runs the command they name. Returns the exit code:
  // 0, 1 (it failed) or 2 (the call was wrong). The only place, with main, that catches errors; each becomes
  // one line "megin: error: ..." on the screen.
  int run(std::vector<std::string> arguments, const Streams& streams);

 private:
  void run_command(std::vector<std::string> arguments, const Streams& streams);
  std::string explain(const CLI::ParseError& error);
  CLI::App* chosen();

  CLI::App app_;
  std::map<std::string, CommandBody> bodies_;
  bool json_ = false;
  bool quiet_ = false;
};

// Adds every command of this build; the table is made by CMake from the megin_command lines.
void add_commands(Program& program);

// Adds --threads N (0: all processors that this process may use) to a command.
void add_threads_option(CLI::App& command, int64_t& threads);

}  // namespace megin::cli
