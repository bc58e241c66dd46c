#include "cli/command.h"

#include <gtest/gtest.h>
#include <spdlog/spdlog.h>

#include <memory>
#include <new>
#include <sstream>

#include "base/error.h"

namespace megin::cli {
namespace {

// A program with one command, `greet [--name X] [--fail KIND]`.
class ProgramTest : public testing::Test {
 protected:
  ProgramTest() {
    CLI::App& command =
        program_.add({.name = "greet", .summary = "Say hello", .details = "", .examples = "megin greet"},
                     [this](CommandContext& context) { greet(context); });
    command.add_option("--name", name_, "who is greeted");
    command.add_option("--fail", failure_, "how it fails");
    command.add_flag_callback("--poem", [] { throw TextRequested{"roses\n"}; })->trigger_on_parse();
  }

  void greet(CommandContext& context) {
    if (failure_ == "usage") fail_usage("wanted a polite name");
    if (failure_ == "error") fail("the mouth is shut");
    if (failure_ == "memory") throw std::bad_alloc();
    if (failure_ == "other") throw std::logic_error("impossible");
    spdlog::info("about to greet");
    context.out << (context.json ? "{\"hello\":\"" + name_ + "\"}\n" : "hello " + name_ + "\n");
  }

  int run(std::vector<std::string> arguments) { return program_.run(std::move(arguments), streams_); }

  Program program_;
  std::string name_ = "world";
  std::string failure_;
  std::istringstream in_;
  std::ostringstream out_;
  std::string err_;
  Streams streams_{
      .in = in_,
      .out = out_,
      .screen = {.write = [this](std::string_view bytes) { err_ += bytes; }, .width = [] { return 80; }}};
};

TEST_F(ProgramTest, RunsACommandAndReturnsZero) {
  EXPECT_EQ(run({"greet", "--name", "Thor"}), 0);
  EXPECT_EQ(out_.str(), "hello Thor\n");
  EXPECT_EQ(err_, "about to greet\n");
}

TEST_F(ProgramTest, GivesEveryCommandJsonAndQuiet) {
  EXPECT_EQ(run({"greet", "--json", "--quiet"}), 0);
  EXPECT_EQ(out_.str(), "{\"hello\":\"world\"}\n");
  EXPECT_EQ(err_, "");
}

TEST_F(ProgramTest, ReturnsTwoForAWrongCall) {
  EXPECT_EQ(run({"greet", "--fail", "usage"}), 2);
  EXPECT_EQ(err_, "megin: error: wanted a polite name\n");
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ProgramTest, ReturnsOneForAFailure) {
  EXPECT_EQ(run({"greet", "--fail", "error"}), 1);
  EXPECT_EQ(err_, "megin: error: the mouth is shut\n");
}

TEST_F(ProgramTest, ReturnsOneWhenMemoryEnds) {
  EXPECT_EQ(run({"greet", "--fail", "memory"}), 1);
  EXPECT_TRUE(err_.starts_with("megin: error: not enough memory")) << err_;
}

TEST_F(ProgramTest, ReturnsOneForWhatNobodyExpected) {
  EXPECT_EQ(run({"greet", "--fail", "other"}), 1);
  EXPECT_TRUE(err_.starts_with("megin: error: unexpected: impossible")) << err_;
}

TEST_F(ProgramTest, NamesTheNearestCommandAndOption) {
  EXPECT_EQ(run({"gret"}), 2);
  EXPECT_EQ(err_, "megin: error: no command 'gret'; did you mean 'greet'?; the commands are greet\n");
  err_.clear();
  EXPECT_EQ(run({"greet", "--nmae", "x"}), 2);
  EXPECT_EQ(
      err_,
      "megin: error: megin greet: no option '--nmae'; did you mean '--name'?; see 'megin greet --help'\n");
}

TEST_F(ProgramTest, NamesAMistypedOptionBeforeWhatIsMissing) {
  EXPECT_EQ(run({"--vresion"}), 2);
  EXPECT_EQ(err_,
            "megin: error: megin: no option '--vresion'; did you mean '--version'?; see 'megin --help'\n");
  err_.clear();
  EXPECT_EQ(run({"greet", "you"}), 2);
  EXPECT_EQ(err_, "megin: error: megin greet: one argument too many: 'you'; see 'megin greet --help'\n");
}

TEST_F(ProgramTest, WantsACommand) {
  EXPECT_EQ(run({}), 2);
  EXPECT_EQ(err_, "megin: error: wanted a command: greet; see 'megin --help'\n");
}

TEST_F(ProgramTest, HelpsOnStandardOutput) {
  for (const std::vector<std::string>& call :
       {std::vector<std::string>{"greet", "--help"}, {"help", "greet"}, {"greet", "-h"}}) {
    out_.str("");
    EXPECT_EQ(run(call), 0);
    EXPECT_NE(out_.str().find("Say hello"), std::string::npos);
    EXPECT_NE(out_.str().find("--name"), std::string::npos);
    EXPECT_NE(out_.str().find("Examples:\n  megin greet"), std::string::npos);
  }
  out_.str("");
  EXPECT_EQ(run({"--help"}), 0);
  EXPECT_NE(out_.str().find("greet"), std::string::npos);
  EXPECT_EQ(err_, "");
}

TEST_F(ProgramTest, PrintsARequestedTextBeforeAnythingIsRun) {
  EXPECT_EQ(run({"greet", "--poem"}), 0);
  EXPECT_EQ(out_.str(), "roses\n");
}

TEST_F(ProgramTest, FailsWhenTheResultCannotBeWritten) {
  out_.setstate(std::ios::badbit);
  EXPECT_EQ(run({"greet"}), 1);
  EXPECT_NE(err_.find("cannot write the result to standard output"), std::string::npos);
}

}  // namespace
}  // namespace megin::cli
