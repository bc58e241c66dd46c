#include "report/run_log.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace megin::report {
namespace {

namespace fs = std::filesystem;

TEST(RunLog, ReadsCurvesOfAnEventAndLeavesOutWhatIsHalfWritten) {
  const fs::path folder = fs::path(testing::TempDir()) / "run_log_test";
  fs::create_directories(folder);
  write_file_atomically(folder / "log.jsonl",
                        "{\"event\":\"validation\",\"update\":10,\"bleu\":5.5,\"flops\":2e12}\n"
                        "{\"event\":\"routing\",\"update\":10,\"layer\":0,\"confidence\":0.5}\n"
                        "{\"event\":\"routing\",\"update\":10,\"layer\":2,\"confidence\":0.75}\n"
                        "{\"event\":\"validation\",\"update\":20,\"bleu\":\"none\"}\n"
                        "{\"event\":\"validation\",\"update\":40,\"bleu\":7,\"flops\":8e12}\n"
                        "{\"event\":\"validation\",\"upd");
  const RunLog log(folder / "");
  EXPECT_EQ(log.name(), "run_log_test");
  EXPECT_EQ(log.lines().size(), 5u);
  const auto by_flops = log.curve("validation", "bleu", log_axis("flops"));
  ASSERT_EQ(by_flops.size(), 2u);
  EXPECT_EQ(by_flops[1].x, 8);
  EXPECT_EQ(by_flops[1].y, 7);
  EXPECT_EQ(log.curve("validation", "bleu", log_axis("share"))[0].x, 25);
  EXPECT_EQ(log.points("validation", "bleu", log_axis("share"))[1].update, 40);
  EXPECT_EQ(log.points("validation", "bleu", log_axis("share"))[1].point.x, 100);
  const auto layer = [](const nlohmann::json& line) { return line.at("layer") == 2; };
  const auto of_layer = log.curve("routing", "confidence", log_axis("updates"), layer);
  ASSERT_EQ(of_layer.size(), 1u);
  EXPECT_EQ(of_layer[0].y, 0.75);
  EXPECT_THROW(log.curve("routing", "confidence", log_axis("flops")), Error);
  EXPECT_THROW(log_axis("hours"), UsageError);
  EXPECT_THROW(RunLog(folder / "nothing"), Error);
}

}  // namespace
}  // namespace megin::report
