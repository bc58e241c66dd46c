#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command.h"
#include "store/model_directory.h"
#include "store/tensor_names.h"

namespace megin::cli {

void add_info_command(Program& program);

namespace {

namespace fs = std::filesystem;

// A run directory with a tiny THOR model of zeros: vocabulary 1000, 4 experts.
class InfoCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    run_ = fs::path(testing::TempDir()) / "info_command";
    fs::remove_all(run_);
    fs::create_directories(run_);
    store::ModelDescription description;
    description.source_language = "en";
    description.target_language = "de";
    description.provenance.method = "thor";
    description.provenance.updates = 1234;
    description.provenance.seeds = {5};
    description.provenance.scores["bleu"] = 33.5;
    description.model.source_vocabulary = description.model.target_vocabulary = 1000;
    description.model.experts.count = 4;
    std::vector<std::vector<float>> values;
    std::vector<store::TensorView> tensors;
    for (const store::TensorShape& tensor : store::tensor_shapes(description.model)) {
      values.emplace_back(static_cast<size_t>(store::element_count(tensor.shape)));
      tensors.push_back(store::float_tensor(tensor.name, tensor.shape, values.back()));
    }
    const fs::path subword = run_ / "given.model";
    write_file_atomically(subword, "not read by info");
    store::write_model_directory(run_ / "model", description, tensors, {subword, subword});
  }

  int run(std::vector<std::string> arguments) {
    Program program;
    add_info_command(program);
    out_.str("");
    err_.clear();
    return program.run(
        std::move(arguments),
        {.in = in_,
         .out = out_,
         .screen = {.write = [this](std::string_view bytes) { err_ += bytes; }, .width = [] { return 80; }}});
  }

  fs::path run_;
  std::istringstream in_;
  std::ostringstream out_;
  std::string err_;
};

TEST_F(InfoCommandTest, PrintsSizeCostAndOrigin) {
  ASSERT_EQ(run({"info", (run_ / "model").string()}), 0) << err_;
  for (const char* part : {"en -> de", "4 + 4 of width 128", "4 in each of 4 layers",
                           "thor, 1,234 updates, seed 5", "validation bleu 33.5",
                           // Worked out in store/model_size_test.cpp.
                           "2,244,096", "1,453,056", "1,310,720", "1,566,720",
                           "sentence, token, position, batch, ensemble, path:E"}) {
    EXPECT_NE(out_.str().find(part), std::string::npos) << part << "\n" << out_.str();
  }
}

TEST_F(InfoCommandTest, GivesTheSameToMachinesAndFindsTheModelOfARun) {
  ASSERT_EQ(run({"info", run_.string(), "--json"}), 0) << err_;
  const nlohmann::json json = nlohmann::json::parse(out_.str());
  EXPECT_EQ(json["parameters"]["total"], 2'244'096);
  EXPECT_EQ(json["parameters"]["experts"], 1'054'720);
  EXPECT_EQ(json["active_parameters"]["total"], 1'453'056);
  EXPECT_EQ(json["expert_layers"], 4);
  EXPECT_EQ(json["model"]["experts"]["count"], 4);
  EXPECT_EQ(json["flops_per_token"]["one_expert"]["target"], 1'566'720);
  EXPECT_EQ(json["provenance"]["method"], "thor");
  EXPECT_GT(json["bytes"], 4 * 2'244'096);
}

TEST_F(InfoCommandTest, SaysWhatIsMissing) {
  EXPECT_EQ(run({"info", (run_ / "nowhere").string()}), 1);
  EXPECT_TRUE(err_.ends_with(
      "wanted a model directory or a run directory with a model, found nothing there; 'megin train' "
      "writes RUN/model at its end\n"))
      << err_;
  EXPECT_EQ(run({"info"}), 2);
  EXPECT_EQ(err_, "megin: error: megin info: MODEL is required; see 'megin info --help'\n");
}

}  // namespace
}  // namespace megin::cli
