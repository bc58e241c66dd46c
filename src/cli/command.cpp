#include "cli/command.h"

#include <fmt/format.h>

#include <algorithm>
#include <istream>
#include <new>
#include <ostream>

#include "base/error.h"
#include "base/log.h"
#include "config/nearest.h"

namespace megin::cli {
namespace {

#ifndef MEGIN_VERSION
#error "the build defines MEGIN_VERSION"
#endif

// The words of a list as "a, b, c".
std::string joined(const std::vector<std::string>& words) {
  return fmt::format("{}", fmt::join(words, ", "));
}

std::vector<std::string> command_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  return names;
}

std::vector<std::string> option_names(const CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string indented(const std::string& lines) {
  std::string result = "  ";
  for (const char c : lines) {
    result += c;
    if (c == '\n') result += "  ";
  }
  return result;
}

// A full disk or a closed descriptor shows only when the last bytes are pushed out.
void flush_results(std::ostream& out) {
  out.flush();
  if (!out) fail("cannot write the result to standard output: the disk is full, or the stream was closed");
}

}  // namespace

Program::Program()
    : app_("Trains, evaluates and serves translation and language models with sparse experts on CPUs.",
           "megin") {
  app_.set_version_flag("--version", std::string("megin ") + MEGIN_VERSION, "print the version and exit");
  app_.set_help_flag("-h,--help", "print this help and exit");
  app_.require_subcommand(1);
  app_.get_formatter()->column_width(32);
  app_.footer(
      "`megin COMMAND --help` explains a command and shows examples.\n"
      "Exit codes: 0 it succeeded, 1 it failed, 2 the call was wrong.");
}

CLI::App& Program::add(const CommandText& text, CommandBody body) {
  CLI::App& command = *app_.add_subcommand(text.name, text.summary);
  command.group("Commands");
  command.set_help_flag("-h,--help", "print this help and exit");
  command.add_flag("--json", json_, "print the result as one JSON object");
  command.add_flag("-q,--quiet", quiet_, "no progress and no notes");
  const std::string details = text.details.empty() ? "" : text.details + "\n\n";
  command.footer(details + "Examples:\n" + indented(text.examples));
  bodies_[text.name] = std::move(body);
  return command;
}

int Program::run(std::vector<std::string> arguments, const Streams& streams) {
  const auto report = [&streams](const std::string& message, int code) {
    streams.out.flush();
    streams.screen.write("megin: error: " + message + "\n");
    return code;
  };
  try {
    run_command(std::move(arguments), streams);
    flush_results(streams.out);
    return 0;
  } catch (const CLI::ParseError& error) {
    return report(explain(error), 2);
  } catch (const UsageError& error) {
    return report(error.what(), 2);
  } catch (const Error& error) {
    return report(error.what(), 1);
  } catch (const std::bad_alloc&) {
    return report("not enough memory; use smaller batches or a smaller model, or free memory", 1);
  } catch (const std::exception& error) {
    return report(
        fmt::format("unexpected: {}; please report it with the command that led to it", error.what()), 1);
  }
}

void Program::run_command(std::vector<std::string> arguments, const Streams& streams) {
  const std::vector<std::string> names = command_names(app_);
  if (!arguments.empty() && arguments.front() == "help") {
    arguments.erase(arguments.begin());
    arguments.push_back("--help");
  }
  if (arguments.empty()) fail_usage("wanted a command: {}; see 'megin --help'", joined(names));
  const std::string& first = arguments.front();
  if (!first.starts_with('-') && std::find(names.begin(), names.end(), first) == names.end()) {
    fail_usage("no command '{}'{}; the commands are {}", first, config::did_you_mean(first, names),
               joined(names));
  }
  // CLI11 takes a vector of arguments from its end.
  std::reverse(arguments.begin(), arguments.end());
  try {
    app_.parse(std::move(arguments));
  } catch (const CLI::CallForHelp&) {
    streams.out << (chosen() ? chosen()->help("megin") : app_.help()) << '\n';
    return;
  } catch (const CLI::CallForVersion& version) {
    streams.out << version.what() << '\n';
    return;
  } catch (const TextRequested& request) {
    streams.out << request.text;
    return;
  }
  Console console(streams.screen, quiet_);
  const LogToConsole log(console);
  CommandContext context{
      .in = streams.in, .out = streams.out, .console = console, .json = json_, .quiet = quiet_};
  bodies_.at(chosen()->get_name())(context);
}

std::string Program::explain(const CLI::ParseError& error) {
  const CLI::App* command = chosen();
  const std::string name = command ? "megin " + command->get_name() : "megin";
  const CLI::App& app = command ? *command : app_;
  std::string message = error.what();
  // A mistyped option is the cause even when what CLI11 misses first is the option that was meant.
  if (const std::vector<std::string> rest = app_.remaining(true); !rest.empty()) {
    const std::string& word = rest.front();
    message = word.starts_with('-')
                  ? fmt::format("no option '{}'{}", word, config::did_you_mean(word, option_names(app)))
                  : fmt::format("one argument too many: '{}'", word);
  }
  return fmt::format("{}: {}; see '{} --help'", name, message, name);
}

CLI::App* Program::chosen() {
  const std::vector<CLI::App*> commands = app_.get_subcommands();
  return commands.empty() ? nullptr : commands.front();
}

void add_threads_option(CLI::App& command, int64_t& threads) {
  command.add_option("--threads", threads, "0 = all processors this process may use")
      ->check(CLI::Range(int64_t{0}, int64_t{4096}).description(""))
      ->type_name("N")
      ->capture_default_str();
}

}  // namespace megin::cli
