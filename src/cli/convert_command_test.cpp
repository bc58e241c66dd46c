// convert and export, from the arguments to the files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command.h"
#include "store/model_directory.h"
#include "store/tensor_names.h"
#include "store/toy_model_files.h"

namespace megin::cli {

void add_convert_command(Program& program);
void add_export_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class ConvertCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "convert_command";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    const fs::path subword = folder_ / "given.model";
    write_file_atomically(subword, "a subword model");
    const store::ModelDescription description = store::toy_description();
    const auto tensors = store::toy_tensors(description.model);
    store::write_model_directory(path("dense"), description, store::views(tensors),
                                 {.source = subword, .target = subword});
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  int run(std::vector<std::string> arguments) {
    Program program;
    add_convert_command(program);
    add_export_command(program);
    out_.str("");
    err_.clear();
    return program.run(
        std::move(arguments),
        {.in = in_,
         .out = out_,
         .screen = {.write = [this](std::string_view bytes) { err_ += bytes; }, .width = [] { return 80; }}});
  }

  std::vector<float> values(const std::string& model, const std::string& tensor) const {
    const store::ModelDirectory directory = store::open_model_directory(path(model));
    const auto found = store::float_values(directory.weights.at(tensor));
    return {found.begin(), found.end()};
  }

  fs::path folder_;
  std::istringstream in_;
  std::ostringstream out_;
  std::string err_;
};

TEST_F(ConvertCommandTest, SplitsAModelAndPutsItTogetherAgain) {
  ASSERT_EQ(run({"convert", path("dense"), path("elastic"), "--to-experts", "2", "--json"}), 0) << err_;
  const auto json = nlohmann::json::parse(out_.str());
  EXPECT_EQ(json["experts"], 2);
  EXPECT_EQ(json["how"], "split into 2 experts (contiguous)");
  const store::ModelDescription elastic = store::open_model_directory(path("elastic")).description;
  EXPECT_EQ(elastic.model.experts.active, 2);
  EXPECT_EQ(elastic.provenance.method, "thor, split into 2 experts (contiguous)");
  EXPECT_TRUE(elastic.provenance.scores.empty()) << "nobody has measured it";

  ASSERT_EQ(run({"export", path("elastic"), path("back"), "--all"}), 0) << err_;
  EXPECT_THAT(out_.str(), HasSubstr("back: all experts as one feed-forward, "));
  for (const store::TensorShape& tensor : store::tensor_shapes(store::toy_description().model)) {
    EXPECT_EQ(values("back", tensor.name), values("dense", tensor.name)) << tensor.name;  // 2 is exact
  }
}

TEST_F(ConvertCommandTest, SaysWhatCannotBe) {
  const auto refused = [&](std::vector<std::string> arguments, const std::string& wanted) {
    EXPECT_EQ(run(std::move(arguments)), 2) << err_;
    EXPECT_THAT(err_, HasSubstr(wanted));
    EXPECT_FALSE(fs::exists(path("out")));
  };
  refused({"convert", path("dense"), path("out"), "--to-experts", "4"},
          "dense: wanted a number of experts that divides the width of the feed-forwards (6), found 4");
  refused({"convert", path("dense"), path("out"), "--to-experts", "2", "--split", "half"},
          "--split: wanted one of");
  refused({"export", path("dense"), path("out")}, "wanted one of --path E, --mean and --all");
  refused({"export", path("dense"), path("out"), "--mean", "--all"},
          "wanted one of --path E, --mean and --all");
  refused({"export", path("dense"), path("out"), "--mean"}, "wanted a model with experts, found a dense one");
  EXPECT_EQ(run({"convert", path("dense"), path("dense"), "--to-experts", "2"}), 2);
  EXPECT_THAT(err_, HasSubstr("is the model that is read"));
  EXPECT_EQ(run({"convert", path("nothing"), path("out"), "--to-experts", "2"}), 1);
  EXPECT_THAT(err_,
              HasSubstr("wanted a model directory or a run directory with a model, found nothing there"));
}

}  // namespace
}  // namespace megin::cli
