// Imported classifiers tell of a text what transformers does, from the arguments of the program to its
// output: small checkpoints with random weights, and the logits of transformers 4.46.3
// (exchange/test_files/make_classifier_files.py), which put its own special symbols around each text.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command_runner.h"

namespace megin::cli {

void add_import_command(Program& program);
void add_export_command(Program& program);
void add_classify_command(Program& program);
void add_convert_command(Program& program);
void add_evaluate_command(Program& program);

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr double kTolerance = 1e-4;

struct Checkpoint {
  const char* name;
  std::vector<std::string> classes;
};

std::vector<double> log_probabilities(const json& logits) {
  auto values = logits.get<std::vector<double>>();
  double sum = 0;
  for (const double value : values) sum += std::exp(value);
  for (double& value : values) value -= std::log(sum);
  return values;
}

class ImportClassifierTest : public testing::TestWithParam<Checkpoint> {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / (std::string("import_classifier_") + GetParam().name);
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    source_ =
        fs::path(MEGIN_TEST_FILES).parent_path().parent_path() / "exchange" / "test_files" / GetParam().name;
    expected_ = json::parse(read_file(source_ / "expected.json"));
    for (const json& line : expected_) lines_ += line.at("text").get<std::string>() + "\n";
    ASSERT_EQ(run({"import", source_.string(), path("model")}), 0) << program_.errors();
  }
  void TearDown() override { fs::remove_all(folder_); }

  int run(std::vector<std::string> arguments, const std::string& input = "") {
    return program_.run(std::move(arguments), input);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  // The label that transformers gives to a line.
  std::string label(const json& line) const {
    const auto logits = line.at("logits").get<std::vector<double>>();
    return GetParam().classes[static_cast<size_t>(std::ranges::max_element(logits) - logits.begin())];
  }
  // What `classify --json` printed.
  void expect_the_numbers_of_transformers() const {
    const json found = json::parse(program_.output());
    EXPECT_EQ(found.at("classes"), GetParam().classes);
    ASSERT_EQ(found.at("sentences").size(), expected_.size());
    for (size_t i = 0; i < expected_.size(); ++i) {
      SCOPED_TRACE(expected_[i].at("text"));
      const json& sentence = found.at("sentences")[i];
      EXPECT_EQ(sentence.at("label"), label(expected_[i]));
      const std::vector<double> wanted = log_probabilities(expected_[i].at("logits"));
      ASSERT_EQ(sentence.at("probabilities").size(), wanted.size());
      for (size_t c = 0; c < wanted.size(); ++c) {
        EXPECT_NEAR(std::log(sentence.at("probabilities")[c].get<double>()), wanted[c], kTolerance);
      }
    }
  }

  fs::path folder_, source_;
  json expected_;
  std::string lines_;
  ProgramRunner program_{{&add_import_command, &add_export_command, &add_classify_command,
                          &add_convert_command, &add_evaluate_command}};
};

TEST_P(ImportClassifierTest, TellsItsClasses) {
  EXPECT_THAT(program_.output(), HasSubstr(" as masked_lm, "));
  EXPECT_THAT(program_.output(), HasSubstr(" parameters, classes: " + GetParam().classes[0] + ", "));
  ASSERT_EQ(run({"import", source_.string(), path("model"), "--json"}), 0) << program_.errors();
  EXPECT_EQ(json::parse(program_.output()).at("classes"), GetParam().classes);
}

TEST_P(ImportClassifierTest, HasTheNumbersOfTransformers) {
  ASSERT_EQ(run({"classify", path("model"), "--json", "--quiet"}, lines_), 0) << program_.errors();
  expect_the_numbers_of_transformers();
}

TEST_P(ImportClassifierTest, HasThemAsExperts) {
  ASSERT_EQ(run({"convert", path("model"), path("experts"), "--to-experts", "4", "--quiet"}), 0)
      << program_.errors();
  ASSERT_EQ(run({"classify", path("experts"), "--json", "--quiet"}, lines_), 0) << program_.errors();
  expect_the_numbers_of_transformers();
}

TEST_P(ImportClassifierTest, IsMeasuredOnLabels) {
  std::string labelled;
  double nats = 0;
  size_t lines = 0;
  for (const json& line : expected_) {
    const auto text = line.at("text").get<std::string>();
    if (text.find('\t') != std::string::npos) continue;
    labelled += text + "\t" + label(line) + "\n";
    nats -= std::ranges::max(log_probabilities(line.at("logits")));
    ++lines;
  }
  write_file_atomically(path("labels.tsv"), labelled);
  ASSERT_EQ(run({"evaluate", path("model"), "--labels", path("labels.tsv"), "--json", "--quiet"}), 0)
      << program_.errors();
  const json found = json::parse(program_.output());
  EXPECT_EQ(found.at("lines"), lines);
  EXPECT_EQ(found.at("runs")[0].at("right"), lines);
  EXPECT_NEAR(found.at("loss").at("mean").get<double>(), nats / static_cast<double>(lines), kTolerance);
}

TEST_P(ImportClassifierTest, IsAModelAgainAfterAnExport) {
  ASSERT_EQ(run({"export", path("model"), path("back"), "--format", "huggingface"}), 0) << program_.errors();
  ASSERT_EQ(run({"import", path("back"), path("again")}), 0) << program_.errors();
  for (const char* const file : {"model.safetensors", "config.json"})
    EXPECT_EQ(read_file(folder_ / "again" / file), read_file(folder_ / "model" / file)) << file;
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, ImportClassifierTest,
                         testing::Values(Checkpoint{"bert_classes", {"so so", "bad", "très bien"}},
                                         Checkpoint{"roberta_classes", {"LABEL_0", "LABEL_1"}}),
                         [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace megin::cli
