#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command.h"
#include "store/averaging.h"
#include "store/checkpoint.h"
#include "store/model_directory.h"
#include "store/tensor_names.h"

namespace megin::cli {

void add_average_command(Program& program);

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class AverageCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "average_command";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static store::ModelDescription description(uint64_t seed) {
    store::ModelDescription result;
    result.model.source_vocabulary = result.model.target_vocabulary = 10;
    result.model.width = 8;
    result.model.feed_forward = 8;
    result.model.encoder_layers = result.model.decoder_layers = 1;
    result.source_language = "en";
    result.target_language = "de";
    result.provenance.method = "thor";
    result.provenance.updates = 100 * static_cast<int64_t>(seed);
    result.provenance.seeds = {seed};
    result.provenance.scores = {{"bleu", 30.0}};
    return result;
  }

  // Every weight has the given value.
  static std::vector<store::FloatTensor> weights(const store::ModelDescription& model, float value,
                                                 const std::string& prefix = "") {
    std::vector<store::FloatTensor> tensors;
    for (const store::TensorShape& wanted : store::tensor_shapes(model.model)) {
      const auto count = static_cast<size_t>(store::element_count(wanted.shape));
      tensors.push_back({prefix + wanted.name, wanted.shape, std::vector<float>(count, value)});
    }
    return tensors;
  }

  std::string write_model(const std::string& name, const store::ModelDescription& model, float value,
                          const std::string& subword = "a subword model") {
    const fs::path file = folder_ / "given.model";
    write_file_atomically(file, subword);
    const auto tensors = weights(model, value);
    store::write_model_directory(folder_ / name, model, store::views(tensors),
                                 {.source = file, .target = file});
    return (folder_ / name).string();
  }

  void write_checkpoint(int64_t update, float value) {
    auto tensors = weights(description(1), value, std::string(store::kValuePrefix));
    const auto moments = weights(description(1), 1000, std::string(store::kFirstMomentPrefix));
    tensors.insert(tensors.end(), moments.begin(), moments.end());
    store::write_checkpoint(folder_ / "run", update, {.tensors = store::views(tensors)});
  }

  int run(std::vector<std::string> arguments) {
    Program program;
    add_average_command(program);
    out_.str("");
    err_.clear();
    arguments.insert(arguments.begin(), "average");
    return program.run(
        std::move(arguments),
        {.in = in_,
         .out = out_,
         .screen = {.write = [this](std::string_view bytes) { err_ += bytes; }, .width = [] { return 80; }}});
  }

  std::string out() const { return (folder_ / "mean").string(); }

  float weight() const {
    return store::float_values(store::open_model_directory(out()).weights.at("embedding.weight"))[0];
  }

  fs::path folder_;
  std::istringstream in_;
  std::ostringstream out_;
  std::string err_;
};

TEST_F(AverageCommandTest, WritesTheMeanOfModels) {
  const std::string one = write_model("one", description(1), 1);
  const std::string two = write_model("two", description(2), 2);
  ASSERT_EQ(run({out(), one, two, "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_.str()), (json{{"model", out()}, {"averaged", {one, two}}}));
  EXPECT_EQ(weight(), 1.5F);
  const store::Provenance from = store::open_model_directory(out()).description.provenance;
  EXPECT_EQ(from.averaged, (std::vector<std::string>{one, two}));
  EXPECT_EQ(from.seeds, (std::vector<uint64_t>{1, 2}));
  EXPECT_EQ(from.updates, 200);
  EXPECT_EQ(from.method, "thor");
  EXPECT_TRUE(from.scores.empty()) << "the mean has not been measured";
}

TEST_F(AverageCommandTest, WritesTheMeanOfTheLastCheckpoints) {
  write_model("run/model", description(1), 7);
  for (const int64_t update : {10, 20, 30}) write_checkpoint(update, static_cast<float>(update));
  ASSERT_EQ(run({out(), (folder_ / "run").string(), "--last", "2"}), 0) << err_;
  EXPECT_EQ(weight(), 25.0F);
  const store::Provenance from = store::open_model_directory(out()).description.provenance;
  EXPECT_EQ(from.averaged, (std::vector<std::string>{"update-30", "update-20"}));
  EXPECT_EQ(from.updates, 30);
}

TEST_F(AverageCommandTest, ARunGivesItsModel) {
  write_model("run/model", description(1), 7);
  ASSERT_EQ(run({out(), (folder_ / "run").string()}), 0) << err_;
  EXPECT_EQ(weight(), 7.0F);
}

TEST_F(AverageCommandTest, TooFewCheckpointsAreAnError) {
  write_model("run/model", description(1), 7);
  write_checkpoint(10, 1);
  write_checkpoint(20, 2);
  fs::remove(store::checkpoint_directory(folder_ / "run", 20) / "manifest.json");
  EXPECT_EQ(run({out(), (folder_ / "run").string(), "--last", "2"}), 1);
  EXPECT_NE(err_.find("wanted 2 good checkpoints, found 1"), std::string::npos) << err_;
  EXPECT_NE(err_.find("manifest.json"), std::string::npos) << "the damaged one is named: " << err_;
  EXPECT_FALSE(fs::exists(out()));
}

TEST_F(AverageCommandTest, ModelsThatDoNotBelongTogetherAreAnError) {
  const std::string one = write_model("one", description(1), 1);
  store::ModelDescription other = description(2);
  other.model.heads = 2;  // the same shapes, another model
  EXPECT_EQ(run({out(), one, write_model("two", other, 2)}), 1);
  EXPECT_NE(err_.find("model configuration differs"), std::string::npos) << err_;
  EXPECT_EQ(run({out(), one, write_model("three", description(3), 2, "another subword model")}), 1);
  EXPECT_NE(err_.find("subword model differs"), std::string::npos) << err_;
}

TEST_F(AverageCommandTest, WrongCallsExitWithTwo) {
  const std::string one = write_model("one", description(1), 1);
  EXPECT_EQ(run({out()}), 2);
  EXPECT_EQ(run({out(), one, one, "--last", "2"}), 2);
  EXPECT_EQ(run({out(), one, "--last", "0"}), 2);
}

}  // namespace
}  // namespace megin::cli
