#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/command_runner.h"
#include "runtime/random_weights.h"
#include "store/model_directory.h"
#include "store/routing_snapshot.h"
#include "store/tensor_names.h"
#include "text/subword.h"

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
  static void write_routes(const fs::path& run) {
    for (int i = 1; i <= 4; ++i) {
      const auto b = static_cast<uint16_t>(i <= 2 ? 0 : 1), c = static_cast<uint16_t>(i <= 3 ? 3 : 2);
      store::write_routing_snapshot(
          run, {.update = 25 * i, .layers = {{"encoder 0", {0, b, 2}}, {"decoder 0", {0, 1, c}}}});
    }
  }

  int run(std::vector<std::string> arguments) { return command_.run(std::move(arguments)); }

  fs::path folder_;
  CommandRunner command_{"analyze", &add_analyze_command};
};

TEST_F(AnalyzeCommandTest, CountsTokensThatMoveLate) {
  write_routes(folder_);
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

// In `base` tokens move as above, in `frozen` none does.
TEST_F(AnalyzeCommandTest, ComparesFluctuationOfRuns) {
  const std::string base = (folder_ / "base").string(), frozen = (folder_ / "frozen").string();
  write_routes(base);
  for (const int64_t update : {10, 20}) {
    store::write_routing_snapshot(
        frozen, {.update = update, .layers = {{"encoder 0", {0, 1, 2}}, {"decoder 0", {0, 1, 3}}}});
  }
  const std::string csv = (folder_ / "f.csv").string(), svg = (folder_ / "f.svg").string();
  EXPECT_EQ(run({"fluctuation", base, frozen, "--csv", csv, "--svg", svg}), 0) << command_.errors();
  EXPECT_THAT(command_.output(), HasSubstr("base    encoder 0        3       33.3 %        0.0 %"));
  EXPECT_THAT(command_.output(), HasSubstr("frozen  all layers       6        0.0 %        0.0 %"));
  EXPECT_THAT(read_file(csv), HasSubstr("run,layer,update,share_of_training,share_of_tokens_beyond\n"));
  EXPECT_THAT(read_file(csv), HasSubstr("base,all layers,50,0.500000,0.166667\n"));
  EXPECT_THAT(read_file(svg), HasSubstr(">base</text>"));
  EXPECT_THAT(read_file(svg), HasSubstr(">frozen</text>"));
  EXPECT_THAT(read_file(svg), testing::Not(HasSubstr(">encoder 0</text>"))) << "a line is a run";

  EXPECT_EQ(run({"fluctuation", base, frozen, "--json"}), 0);
  const auto json = nlohmann::json::parse(command_.output());
  ASSERT_EQ(json["runs"].size(), 2u);
  EXPECT_EQ(json["runs"][0]["run"], base);
  EXPECT_NEAR(json["runs"][0]["layers"][2]["beyond_20_percent"], 2.0 / 6, 1e-12);
  EXPECT_EQ(json["runs"][1]["updates"], 20);
  EXPECT_EQ(json["runs"][1]["layers"][2]["beyond_20_percent"], 0);
  EXPECT_EQ(run(std::vector<std::string>(14, "fluctuation")), 2) << "13 of PATH";
}

TEST_F(AnalyzeCommandTest, SaysWhatIsMissing) {
  EXPECT_EQ(run({"fluctuation", folder_.string()}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("found no routes of its validations"));
  store::write_routing_snapshot(folder_, {.update = 1, .layers = {{"encoder 0", {0}}}});
  EXPECT_EQ(run({"fluctuation", folder_.string()}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("wanted two validations or more"));
  EXPECT_EQ(run({"load", folder_.string()}), 2);
  EXPECT_THAT(command_.errors(), HasSubstr("WHAT: wanted one of fluctuation, experts, similarity, "
                                           "consistency, slimming, votes; found 'load'"));
}

// A model of two experts in one layer of each stack, by a table; expert 1 of the encoder is minus expert 0.
void write_model(const fs::path& path) {
  store::ModelDescription description;
  config::ModelConfig& model = description.model;
  model.width = 16;
  model.feed_forward = 8;
  model.heads = 2;
  model.encoder_layers = model.decoder_layers = 1;
  model.max_length = 20;
  model.activation = config::Activation::kGelu;
  model.experts = {.count = 2, .every = 1, .router = config::RouterKind::kHash};
  text::SubwordTraining training;
  training.config.vocabulary = 12;
  training.config.byte_fallback = false;
  int line = 0;
  const std::string bytes = text::train_subword(training, [&line](std::string& sentence) {
    sentence = line % 2 == 0 ? "ab ba abba" : "cd dc cddc";
    return ++line < 40;
  });
  fs::create_directories(path);
  write_file_atomically(path / "subword", bytes);
  const int64_t size = text::SubwordModel(path / "subword").size();
  model.source_vocabulary = model.target_vocabulary = size;
  const runtime::TensorSource random = runtime::random_weights(model, 3);
  std::vector<std::vector<float>> values;
  std::vector<store::TensorView> tensors;
  for (const store::TensorShape& tensor : store::tensor_shapes(model)) {
    const auto from = random(tensor.name);
    std::vector<float>& copy = values.emplace_back(from.begin(), from.end());
    const bool second = tensor.name.find("encoder.layers.0.feed_forward.fc2") == 0;
    const size_t half = copy.size() / 2;
    if (tensor.name.find("encoder.layers.0.feed_forward.fc1") == 0)
      std::copy_n(copy.begin(), half, copy.begin() + half);
    for (size_t i = 0; second && i < half; ++i) copy[half + i] = -copy[i];
    if (tensor.name.ends_with("router.table")) {
      for (size_t i = 0; i < copy.size(); ++i) copy[i] = i < 6 ? 0.0F : 1.0F;
    }
    tensors.push_back(store::float_tensor(tensor.name, tensor.shape, copy));
  }
  store::write_model_directory(path / "model", description, tensors, {path / "subword", path / "subword"});
}

TEST_F(AnalyzeCommandTest, ShowsWhatATableGivesToEachExpert) {
  write_model(folder_);
  EXPECT_EQ(run({"experts", (folder_ / "model").string(), "--json", "--top", "1"}), 0) << command_.errors();
  const auto json = nlohmann::json::parse(command_.output());
  ASSERT_EQ(json["experts"].size(), 4u);
  EXPECT_EQ(json["experts"][0]["layer"], "encoder 0");
  EXPECT_EQ(json["experts"][0]["symbols"], 2) << "4 and 5: the special symbols are left out";
  const text::SubwordModel subword(folder_ / "subword");
  EXPECT_EQ(json["experts"][0]["first"], nlohmann::json::array({subword.piece(4)}));
  EXPECT_EQ(json["experts"][1]["symbols"], subword.size() - 6);
  EXPECT_EQ(json["experts"][1]["first"], nlohmann::json::array({subword.piece(6)}));
}

TEST_F(AnalyzeCommandTest, ComparesExpertsByTheirAnswers) {
  write_model(folder_);
  EXPECT_EQ(run({"similarity", (folder_ / "model").string(), "--json"}), 0) << command_.errors();
  const auto json = nlohmann::json::parse(command_.output());
  EXPECT_NEAR(json["layers"][0]["mean"], -1, 1e-5) << "opposites";
  EXPECT_NEAR(json["layers"][0]["cosine"][1][1], 1, 1e-6);
  EXPECT_LT(std::abs(json["layers"][1]["mean"].get<double>()), 0.8);
}

TEST_F(AnalyzeCommandTest, ShowsHowFarSeedsSpread) {
  fs::create_directories(folder_);
  write_file_atomically(folder_ / "thor.json",
                        R"({"runs":[{"bleu":20.0,"loss":3},{"bleu":21.0,"loss":3},{"bleu":22.0,"loss":3}]})");
  const std::string svg = (folder_ / "v.svg").string(), csv = (folder_ / "v.csv").string();
  EXPECT_EQ(run({"consistency", (folder_ / "thor.json").string(), "--svg", svg, "--csv", csv}), 0)
      << command_.errors();
  EXPECT_THAT(command_.output(), HasSubstr("thor       3  21.000  1.000000  20.000  22.000\n"));
  EXPECT_THAT(read_file(svg), HasSubstr(">thor</text>"));
  EXPECT_THAT(read_file(csv), HasSubstr("thor,2,21\n"));
  EXPECT_EQ(run({"consistency", svg}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("megin evaluate --seeds K --json"));
  EXPECT_EQ(run({"consistency", (folder_ / "thor.json").string(), "--key", "chrf"}), 2);
  EXPECT_EQ(run({"similarity", svg, csv}), 2);
}

}  // namespace
}  // namespace megin::cli
