#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/command_runner.h"

namespace megin::cli {

void add_report_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

class ReportCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    write_run("one", "dense", "0.1", false);
    write_run("two", "switch", "0.1", true);
  }

  void write_run(const std::string& name, const std::string& method, const std::string& dropout,
                 bool routed) {
    fs::create_directories(folder_ / name);
    std::string log =
        "{\"event\":\"start\",\"update\":0,\"threads\":2}\n"
        "{\"event\":\"update\",\"update\":5,\"nll\":3,\"flops\":1e12,\"minutes\":0.5,\"cpu_minutes\":1,"
        "\"target_tokens_per_second\":1234.4}\n"
        "{\"event\":\"validation\",\"update\":5,\"loss\":3.5,\"bleu\":9.25,\"flops\":1e12,\"cpu_minutes\":1}"
        "\n"
        "{\"event\":\"validation\",\"update\":10,\"loss\":3.25,\"bleu\":8.5,\"flops\":2e12,\"cpu_minutes\":2}"
        "\n";
    if (routed) {
      log +=
          "{\"event\":\"routing\",\"update\":5,\"stack\":\"encoder\",\"layer\":0,\"highest_load\":1.5,"
          "\"lowest_load\":0.5,\"confidence\":0.625,\"dropped\":0,\"load_0\":0.75,\"load_1\":0.25}\n";
    }
    log += "{\"event\":\"end\",\"update\":10,\"reason\":\"max_updates\"}\n";
    write_file_atomically(folder_ / name / "log.jsonl", log);
    write_file_atomically(folder_ / name / "config.yaml", "model:\n  dropout: " + dropout +
                                                              "\ntrain:\n  method: " + method +
                                                              "\n  run: runs/" + name + "\n  seed: 1\n");
  }

  int run(std::vector<std::string> arguments) { return command_.run(std::move(arguments)); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
  CommandRunner command_{"report", &add_report_command};
};

TEST_F(ReportCommandTest, ShowsRunsCurvesLoadsAndDifferencesOnOnePage) {
  EXPECT_EQ(run({path("one"), path("two"), "--title", "A <b> & c"}), 0) << command_.errors();
  const std::string page = command_.output();
  EXPECT_THAT(page, HasSubstr("<h1>A &lt;b&gt; &amp; c</h1>"));
  EXPECT_THAT(page, HasSubstr(">9.25</td>"));  // the best of two validations is the one with the higher BLEU
  EXPECT_THAT(page, HasSubstr(">3.500</td>"));
  EXPECT_THAT(page, HasSubstr(">1234</td>"));
  EXPECT_THAT(page, HasSubstr(">75.0</td>"));  // load of expert 0
  EXPECT_THAT(page, HasSubstr(">Validation BLEU<"));
  EXPECT_THAT(page, HasSubstr(">training TFLOP<"));
  EXPECT_THAT(page, HasSubstr("Routing of two"));
  EXPECT_THAT(page, Not(HasSubstr("Routing of one")));
  EXPECT_THAT(page, HasSubstr("<td>train.method</td><td>dense</td><td>switch</td>"));
  EXPECT_THAT(page, Not(HasSubstr("<td>model.dropout</td>")));
  EXPECT_THAT(page, Not(HasSubstr("<td>train.run</td>")));
  EXPECT_THAT(page, Not(HasSubstr("<script"))) << "readable without a network or a program";
  EXPECT_THAT(page, Not(HasSubstr("href=")));
}

TEST_F(ReportCommandTest, WritesNumbersAndPictures) {
  EXPECT_EQ(run({path("one"), path("two"), "--json", "--csv", path("all.csv"), "--svg", path("pictures")}), 0)
      << command_.errors();
  const auto json = nlohmann::json::parse(command_.output());
  EXPECT_EQ(json["runs"][0]["best"]["bleu"], 9.25);
  EXPECT_EQ(json["runs"][1]["flops"], 1e12);
  EXPECT_EQ(json["runs"][1]["ended_by"], "max_updates");
  EXPECT_EQ(json["differences"], nlohmann::json({"train.method"}));
  const std::string csv = read_file(path("all.csv"));
  EXPECT_THAT(csv, HasSubstr("run,event,stack,layer,update,key,value\n"));
  EXPECT_THAT(csv, HasSubstr("two,routing,encoder,0,5,confidence,0.625\n"));
  EXPECT_THAT(read_file(folder_ / "pictures" / "validation-bleu-by-flops.svg"), HasSubstr("<svg"));
  EXPECT_TRUE(fs::exists(folder_ / "pictures" / "two-routing-highest_load.svg"));
  EXPECT_FALSE(fs::exists(folder_ / "pictures" / "two-routing-dropped.svg")) << "nothing was dropped";
}

TEST_F(ReportCommandTest, SaysWhatItCannotShow) {
  EXPECT_EQ(run({folder_.string()}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("log.jsonl"));
  EXPECT_EQ(run(std::vector<std::string>(9, path("one"))), 2);
  EXPECT_THAT(command_.errors(), HasSubstr("at most 8"));
}

}  // namespace
}  // namespace megin::cli
