// classify and evaluate --labels, from the arguments to the bytes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command_runner.h"
#include "runtime/random_weights.h"
#include "store/model_directory.h"
#include "store/tensor_names.h"

namespace megin::cli {

void add_classify_command(Program& program);
void add_evaluate_command(Program& program);
void add_generate_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::StartsWith;

// A classifier of letters with random weights and 4 experts; and a language model of them.
class ClassifyCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "classify_command";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write_file_atomically(
        folder_ / "letters",
        R"({"format":"megin-bytes","version":1,"newlines":"drop","bytes":[97,98,99,100,101,102,103,104,32]})");
    make_model("classifier", 3);
    make_model("lm", 0);
    for (int i = 0; i < 30; ++i) {
      for (int t = 0; t < i * 7 % 17; ++t) lines_ += static_cast<char>('a' + (i * 3 + t * t) % 8);
      lines_ += '\n';
    }
    write_file_atomically(folder_ / "lines", lines_);
  }

  void make_model(const std::string& name, int64_t classes) {
    store::ModelDescription description;
    config::ModelConfig& model = description.model;
    model.kind = config::ModelKind::kCausalLm;
    model.width = 16;
    model.feed_forward = 24;
    model.heads = 2;
    model.encoder_layers = 0;
    model.decoder_layers = 2;
    model.max_length = 20;
    model.source_vocabulary = model.target_vocabulary = 13;
    model.classes = classes;
    model.experts = {.count = 4,
                     .every = 1,
                     .router = config::RouterKind::kFixed,
                     .active = 4,
                     .gate = config::Gate::kSoftmaxOfChosen};
    if (classes > 0) description.classes = {"bad", "so so", "good"};
    const runtime::TensorSource random = runtime::random_weights(model, 3);
    std::vector<store::TensorView> tensors;
    for (const store::TensorShape& tensor : store::tensor_shapes(model)) {
      tensors.push_back(store::float_tensor(tensor.name, tensor.shape, random(tensor.name)));
    }
    store::write_model_directory(folder_ / name, description, tensors,
                                 {folder_ / "letters", folder_ / "letters"});
  }

  int run(std::vector<std::string> arguments, const std::string& input = "") {
    return program_.run(std::move(arguments), input);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  // The lines with their labels, as `classify` finds them but for the first `wrong` ones.
  std::string labelled(const std::vector<std::string>& labels, size_t wrong) const {
    std::istringstream lines(lines_);
    std::string text, line;
    for (size_t i = 0; std::getline(lines, line); ++i) {
      const std::string label = i >= wrong ? labels[i] : labels[i] == "bad" ? "good" : "bad";
      text += label + "\t" + line + "\n";
    }
    return text;
  }

  fs::path folder_;
  std::string lines_;
  ProgramRunner program_{{&add_classify_command, &add_evaluate_command, &add_generate_command}};
};

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

TEST_F(ClassifyCommandTest, TellsAClassOfEveryLineWhateverTheBatch) {
  ASSERT_EQ(run({"classify", path("classifier"), "--quiet"}, lines_), 0) << program_.errors();
  const std::string wanted = program_.output();
  ASSERT_EQ(split(wanted).size(), 30u);
  for (const std::string& label : split(wanted)) {
    EXPECT_TRUE(label == "bad" || label == "so so" || label == "good") << label;
  }
  for (const char* batch : {"1", "40", "100000"}) {
    for (const char* threads : {"1", "3"}) {
      ASSERT_EQ(run({"classify", path("classifier"), "--input", path("lines"), "--batch-tokens", batch,
                     "--threads", threads, "--quiet"}),
                0);
      EXPECT_EQ(program_.output(), wanted);
    }
  }
  ASSERT_EQ(run({"classify", path("classifier"), "--output", path("out"), "--quiet"}, lines_), 0);
  EXPECT_EQ(read_file(folder_ / "out"), wanted);
}

TEST_F(ClassifyCommandTest, ScoresAreProbabilities) {
  ASSERT_EQ(run({"classify", path("classifier"), "--scores", "--quiet"}, "abc\n"), 0) << program_.errors();
  const std::string all = program_.output();
  std::istringstream fields(all);
  std::string label, field;
  std::getline(fields, label, '\t');
  std::vector<double> probabilities;
  while (std::getline(fields, field, '\t')) probabilities.push_back(std::stod(field));
  ASSERT_EQ(probabilities.size(), 3u);
  EXPECT_NEAR(probabilities[0] + probabilities[1] + probabilities[2], 1, 1e-5);
  ASSERT_EQ(run({"classify", path("classifier"), "--json", "--quiet"}, "abc\n\n"), 0);
  const auto json = nlohmann::json::parse(program_.output());
  EXPECT_EQ(json["lines"], 2);
  EXPECT_EQ(json["sentences"][0]["label"], label);
  EXPECT_NEAR(json["sentences"][0]["probabilities"][2].get<double>(), probabilities[2], 1e-5);
  EXPECT_EQ(json["classes"], (std::vector<std::string>{"bad", "so so", "good"}));
  ASSERT_EQ(run({"classify", path("classifier"), "--scores", "--experts", "k=1", "--quiet"}, "abc\n"), 0);
  EXPECT_NE(program_.output(), all) << "with other experts";
}

// 30 lines, 6 of them labelled otherwise: 24 right. The interval is by bisection, as in
// metric/accuracy_test.cpp.
TEST_F(ClassifyCommandTest, EvaluateCountsTheLabelsThatAreFound) {
  ASSERT_EQ(run({"classify", path("classifier"), "--quiet"}, lines_), 0) << program_.errors();
  write_file_atomically(folder_ / "labels.tsv", "label\tsentence\n" + labelled(split(program_.output()), 6));
  const std::vector<std::string> call = {
      "evaluate", path("classifier"), "--labels", path("labels.tsv"), "--sentence-column",
      "2",        "--label-column",   "1",        "--header",         "--quiet"};
  const auto with = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = call;
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  ASSERT_EQ(run(with({})), 0) << program_.errors();
  EXPECT_THAT(program_.output(),
              StartsWith("accuracy 80.00 % (24 of 30; 95 % interval 62.69 to 90.49)\nloss "));
  ASSERT_EQ(run(with({"--json"})), 0);
  const auto json = nlohmann::json::parse(program_.output());
  EXPECT_EQ(json["runs"][0]["right"], 24);
  EXPECT_EQ(json["lines"], 30);
  EXPECT_DOUBLE_EQ(json["accuracy"]["mean"], 0.8);
  ASSERT_EQ(run(with({"--json", "--batch-tokens", "30", "--threads", "2"})), 0);
  EXPECT_EQ(nlohmann::json::parse(program_.output())["loss"], json["loss"]);

  // The loss is that of the probabilities that classify tells.
  ASSERT_EQ(run({"classify", path("classifier"), "--json", "--quiet"}, lines_), 0);
  const auto told = nlohmann::json::parse(program_.output());
  const auto labels = split(read_file(folder_ / "labels.tsv"));
  double nats = 0;
  for (size_t i = 0; i < 30; ++i) {
    const std::string label = labels[i + 1].substr(0, labels[i + 1].find('\t'));
    const size_t c = label == "bad" ? 0 : label == "so so" ? 1 : 2;
    nats -= std::log(told["sentences"][i]["probabilities"][c].get<double>());
  }
  EXPECT_NEAR(json["loss"]["mean"].get<double>(), nats / 30, 1e-4);
}

TEST_F(ClassifyCommandTest, WrongCallsSayWhatToDo) {
  EXPECT_EQ(run({"classify", path("lm")}, "abc\n"), 2);
  EXPECT_THAT(program_.errors(), HasSubstr("wanted a classifier (trained with data.task classification)"));
  EXPECT_EQ(run({"generate", path("classifier"), "--prompt", "a"}), 2);
  EXPECT_THAT(program_.errors(), HasSubstr("use megin classify"));
  EXPECT_EQ(run({"evaluate", path("classifier"), "--text", path("lines")}), 2);
  EXPECT_THAT(program_.errors(),
              HasSubstr("wanted --labels FILE (sentences with their labels) for a classifier"));
  EXPECT_EQ(run({"evaluate", path("lm"), "--labels", path("lines")}), 2);
  EXPECT_THAT(program_.errors(), HasSubstr("--labels: wanted a classifier"));
  EXPECT_EQ(run({"evaluate", path("classifier"), "--labels", path("lines"), "--text", path("lines")}), 2);
  EXPECT_THAT(program_.errors(), HasSubstr("--labels: wanted no --src, --ref or --text"));
  write_file_atomically(folder_ / "wrong.tsv", "abc\tbad\nabc\tterrible\n");
  EXPECT_EQ(run({"evaluate", path("classifier"), "--labels", path("wrong.tsv")}), 1);
  EXPECT_THAT(program_.errors(),
              HasSubstr("wrong.tsv:2: wanted a label among bad, so so, good, found \"terrible\""));
  write_file_atomically(folder_ / "empty.tsv", "");
  EXPECT_EQ(run({"evaluate", path("classifier"), "--labels", path("empty.tsv")}), 1);
  EXPECT_THAT(program_.errors(), HasSubstr("wanted sentences with labels, found none"));
  EXPECT_EQ(run({"classify", path("classifier"), "--experts", "k=5"}, "abc\n"), 2);
}

}  // namespace
}  // namespace megin::cli
