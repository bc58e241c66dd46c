#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "base/files.h"
#include "cli/command_runner.h"

namespace megin::cli {

void add_plot_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class PlotCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_ / "one");
    write_file_atomically(folder_ / "one" / "log.jsonl",
                          "{\"event\":\"validation\",\"update\":10,\"bleu\":5.5,\"flops\":2e12}\n"
                          "{\"event\":\"update\",\"update\":15,\"nll\":3}\n"
                          "{\"event\":\"validation\",\"update\":20,\"bleu\":9.5,\"flops\":4e12}\n");
  }

  int run(std::vector<std::string> arguments) { return command_.run(std::move(arguments)); }

  fs::path folder_;
  CommandRunner command_{"plot", &add_plot_command};
};

TEST_F(PlotCommandTest, DrawsTheRunByItsName) {
  EXPECT_EQ(run({(folder_ / "one/").string()}), 0) << command_.errors();
  EXPECT_THAT(command_.output(), HasSubstr("<svg"));
  EXPECT_THAT(command_.output(), HasSubstr(">one<"));
}

TEST_F(PlotCommandTest, NamesWhatIsMissing) {
  EXPECT_EQ(run({folder_.string()}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("log.jsonl"));
  EXPECT_EQ(run({(folder_ / "one").string(), "--key", "chrf"}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("'chrf'"));
}

TEST_F(PlotCommandTest, TheAxisMayBeWhatTrainingCost) {
  EXPECT_EQ(run({(folder_ / "one").string(), "--x", "flops"}), 0) << command_.errors();
  EXPECT_THAT(command_.output(), HasSubstr(">training TFLOP<"));
  EXPECT_THAT(command_.output(), HasSubstr(">4.0<"));
  EXPECT_EQ(run({(folder_ / "one").string(), "--x", "hours"}), 2);
  EXPECT_THAT(command_.errors(), HasSubstr("updates, share, minutes, cpu-minutes, flops; found 'hours'"));
  EXPECT_EQ(run({(folder_ / "one").string(), "--x", "minutes"}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("an older megin"));
}

}  // namespace
}  // namespace megin::cli
