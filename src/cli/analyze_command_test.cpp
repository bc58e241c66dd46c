#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/command_runner.h"
#include "store/routing_snapshot.h"

namespace megin::cli {

void add_analyze_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class AnalyzeCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
  }

  // Tokens a, b, c of two layers: in the first, b moves between the second and the third snapshot of four; in
  // the second, c moves between the third and the last.
  void write_routes() const {
    for (int i = 1; i <= 4; ++i) {
      const auto b = static_cast<uint16_t>(i <= 2 ? 0 : 1), c = static_cast<uint16_t>(i <= 3 ? 3 : 2);
      store::write_routing_snapshot(
          folder_, {.update = 25 * i, .layers = {{"encoder 0", {0, b, 2}}, {"decoder 0", {0, 1, c}}}});
    }
  }

  int run(std::vector<std::string> arguments) { return command_.run(std::move(arguments)); }

  fs::path folder_;
  CommandRunner command_{"analyze", &add_analyze_command};
};

TEST_F(AnalyzeCommandTest, CountsTokensThatMoveLate) {
  write_routes();
  EXPECT_EQ(run({"fluctuation", folder_.string(), "--json", "--csv", (folder_ / "f.csv").string(), "--svg",
                 (folder_ / "f.svg").string()}),
            0)
      << command_.errors();
  const auto json = nlohmann::json::parse(command_.output());
  EXPECT_EQ(json["snapshots"], 4);
  ASSERT_EQ(json["layers"].size(), 3u);
  EXPECT_NEAR(json["layers"][0]["beyond_20_percent"], 1.0 / 3, 1e-12);  // last differs at 50 %
  EXPECT_EQ(json["layers"][0]["beyond_50_percent"], 0);
  EXPECT_NEAR(json["layers"][1]["beyond_50_percent"], 1.0 / 3, 1e-12);  // at 75 %
  EXPECT_EQ(json["layers"][2]["layer"], "all layers");
  EXPECT_NEAR(json["layers"][2]["beyond_20_percent"], 2.0 / 6, 1e-12);
  EXPECT_THAT(read_file(folder_ / "f.csv"), HasSubstr("decoder 0,50,0.500000,0.333333\n"));
  EXPECT_THAT(read_file(folder_ / "f.svg"), HasSubstr(">Routing fluctuation<"));
  EXPECT_EQ(run({"fluctuation", folder_.string()}), 0);
  EXPECT_THAT(command_.output(), HasSubstr("encoder 0        3       33.3 %        0.0 %        0.0 %\n"));
}

TEST_F(AnalyzeCommandTest, SaysWhatIsMissing) {
  EXPECT_EQ(run({"fluctuation", folder_.string()}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("found no routes of its validations"));
  store::write_routing_snapshot(folder_, {.update = 1, .layers = {{"encoder 0", {0}}}});
  EXPECT_EQ(run({"fluctuation", folder_.string()}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("wanted two validations or more"));
  EXPECT_EQ(run({"load", folder_.string()}), 2);
  EXPECT_THAT(command_.errors(), HasSubstr("WHAT: wanted fluctuation; found 'load'"));
}

}  // namespace
}  // namespace megin::cli
