// translate and evaluate, from the arguments to the bytes.
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
#include "text/subword.h"

namespace megin::cli {

void add_translate_command(Program& program);
void add_evaluate_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

const char* const kWho[] = {"The dog", "A cat", "My brother", "Twelve men"};
const char* const kWhat[] = {"sees the street", "jumps over books", "paints a river", "opens this house"};

// A run directory whose model (4 experts in each layer) has random weights, or only zeros.
class TranslateCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "translate_command";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write_file_atomically(folder_ / "subword", trained_subword());
    subword_size_ = text::SubwordModel(folder_ / "subword").size();
    make_run("random", false);
    make_run("zero", true);
    std::string lines;
    for (const char* who : kWho) {
      for (const char* what : kWhat) lines += std::string(who) + " " + what + ".\n";
      lines += "\n";
    }
    write_file_atomically(folder_ / "source", lines);
  }

  static const std::string& trained_subword() {
    static const std::string bytes = [] {
      text::SubwordTraining training;
      training.config.vocabulary = 40;
      training.config.byte_fallback = false;
      size_t at = 0;
      return text::train_subword(training, [&at](std::string& sentence) {
        if (at == 160) return false;
        sentence = std::string(kWho[at % 4]) + " " + kWhat[at / 4 % 4] + ".";
        ++at;
        return true;
      });
    }();
    return bytes;
  }

  void make_run(const std::string& name, bool zeros) {
    store::ModelDescription description;
    config::ModelConfig& model = description.model;
    model.width = 16;
    model.feed_forward = 24;
    model.heads = 2;
    model.encoder_layers = model.decoder_layers = 2;
    model.experts = {.count = 4, .every = 1, .offset = 0};
    model.max_length = 60;
    model.source_vocabulary = model.target_vocabulary = subword_size_;
    const runtime::TensorSource random = runtime::random_weights(model, 3);
    std::vector<std::vector<float>> values;
    std::vector<store::TensorView> tensors;
    for (const store::TensorShape& tensor : store::tensor_shapes(model)) {
      const auto from = random(tensor.name);
      values.emplace_back(from.begin(), from.end());
      if (zeros) std::ranges::fill(values.back(), 0.0F);
      tensors.push_back(store::float_tensor(tensor.name, tensor.shape, values.back()));
    }
    fs::create_directories(folder_ / name);
    store::write_model_directory(folder_ / name / "model", description, tensors,
                                 {folder_ / "subword", folder_ / "subword"});
  }

  int run(std::vector<std::string> arguments, const std::string& input = "") {
    return program_.run(std::move(arguments), input);
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  std::vector<std::string> translate(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments = {"translate", path("random"), "--beam", "3", "--max-length-b", "12"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  fs::path folder_;
  int64_t subword_size_ = 0;
  ProgramRunner program_{{&add_translate_command, &add_evaluate_command}};
};

TEST_F(TranslateCommandTest, KeepsEveryLineAtItsPlaceAndTheSameBytesWhateverTheBatch) {
  ASSERT_EQ(run(translate({"--input", path("source")})), 0) << program_.errors();
  const std::string wanted = program_.output();
  std::istringstream lines(wanted);
  std::string line;
  for (int number = 1; number <= 20; ++number) {
    ASSERT_TRUE(std::getline(lines, line));
    EXPECT_EQ(line.empty(), number % 5 == 0) << number;
  }
  EXPECT_FALSE(std::getline(lines, line));
  for (const char* batch : {"1", "40", "100000"}) {
    for (const char* threads : {"1", "3"}) {
      ASSERT_EQ(run(translate({"--input", path("source"), "--batch-tokens", batch, "--threads", threads})),
                0);
      EXPECT_EQ(program_.output(), wanted) << batch << " " << threads;
    }
  }
  ASSERT_EQ(run(translate(), read_file(folder_ / "source")), 0);
  EXPECT_EQ(program_.output(), wanted) << "from standard input";
  ASSERT_EQ(run(translate({"--input", path("source"), "--output", path("out")})), 0);
  EXPECT_EQ(read_file(folder_ / "out"), wanted) << "into a file";
  ASSERT_EQ(run(translate({"--input", path("source"), "--seed", "2"})), 0);
  EXPECT_NE(program_.output(), wanted) << "with other experts";
}

TEST_F(TranslateCommandTest, TheLastLineMayLackItsEnd) {
  ASSERT_EQ(run(translate(), "A cat sees books.\r\n\nThe dog"), 0);
  EXPECT_EQ(std::ranges::count(program_.output(), '\n'), 3);
}

TEST_F(TranslateCommandTest, JsonIsOneObjectWithALineForEachLine) {
  ASSERT_EQ(run(translate({"--json", "--nbest", "2"}), "A cat sees books.\n\n"), 0);
  const auto json = nlohmann::json::parse(program_.output());
  ASSERT_EQ(json["translations"].size(), 2U);
  EXPECT_EQ(json["translations"][0]["line"], 1);
  const auto& hypotheses = json["translations"][0]["hypotheses"];
  ASSERT_EQ(hypotheses.size(), 2U);
  EXPECT_GE(hypotheses[0]["score"].get<double>(), hypotheses[1]["score"].get<double>());
  EXPECT_TRUE(json["translations"][1]["hypotheses"].empty());
  EXPECT_EQ(json["lines"], 2);
  EXPECT_EQ(json["empty"], 1);
}

TEST_F(TranslateCommandTest, AFailureLeavesTheFormerOutputAndNothingElse) {
  write_file_atomically(folder_ / "out", "former");
  std::string input;
  for (int i = 0; i < 30; ++i) input += "Twelve men jumps over books ";
  EXPECT_EQ(run(translate({"--output", path("out")}), "A cat.\n" + input), 1);
  EXPECT_THAT(program_.errors(), HasSubstr("line 2: wanted at most 60 tokens"));
  EXPECT_EQ(read_file(folder_ / "out"), "former");
  for (const auto& entry : fs::directory_iterator(folder_)) {
    EXPECT_EQ(entry.path().string().find(".partial"), std::string::npos);
  }
  EXPECT_EQ(run(translate({"--on-too-long", "skip"}), "A cat.\n" + input), 0);
  EXPECT_THAT(program_.errors(), HasSubstr("warning: line 2"));
  EXPECT_EQ(std::ranges::count(program_.output(), '\n'), 2);
}

TEST_F(TranslateCommandTest, AModeThatTheModelCannotServeListsThoseItCan) {
  EXPECT_EQ(run(translate({"--experts", "path:4"}), ""), 2);
  EXPECT_THAT(program_.errors(), HasSubstr("path:E or path:E,E,... with one expert from 0 to 3"));
  EXPECT_EQ(run(translate({"--experts", "best"}), ""), 2);
  EXPECT_THAT(program_.errors(), HasSubstr("sentence, token, position, batch, ensemble"));
  EXPECT_EQ(run(translate({"--experts", "path:3,0,1,2"}), "A cat.\n"), 0) << program_.errors();
}

TEST_F(TranslateCommandTest, PrefixesBeginTheTranslations) {
  write_file_atomically(folder_ / "prefix", "My brother\n\n");
  ASSERT_EQ(run(translate({"--prefix-file", path("prefix")}), "A cat.\nA cat.\n"), 0) << program_.errors();
  EXPECT_TRUE(program_.output().starts_with("My brother")) << program_.output();
  EXPECT_EQ(run(translate({"--prefix-file", path("prefix")}), "A cat.\nA cat.\nA cat.\n"), 1);
  EXPECT_THAT(program_.errors(), HasSubstr("found only 2"));
}

TEST_F(TranslateCommandTest, SamplesDependOnTheSeedOnly) {
  const std::vector<std::string> sample = {"--sample", "--nbest", "3", "--seed", "5"};
  ASSERT_EQ(run(translate(sample), "A cat sees books.\n"), 0) << program_.errors();
  const std::string wanted = program_.output();
  EXPECT_EQ(std::ranges::count(wanted, '\n'), 3);
  ASSERT_EQ(run(translate(sample), "A cat sees books.\n"), 0);
  EXPECT_EQ(program_.output(), wanted);
}

// A model of zeros gives every symbol the same probability: the loss is the logarithm of the vocabulary's
// size.
TEST_F(TranslateCommandTest, EvaluateGivesTheLossOfAUniformModel) {
  ASSERT_EQ(run({"evaluate", path("zero"), "--src", path("source"), "--ref", path("source"), "--loss-only",
                 "--json", "--seeds", "3"}),
            0)
      << program_.errors();
  const auto json = nlohmann::json::parse(program_.output());
  const double size = static_cast<double>(subword_size_);
  ASSERT_EQ(json["runs"].size(), 3U);
  EXPECT_EQ(json["runs"][2]["seed"], 3);
  EXPECT_NEAR(json["loss"]["mean"].get<double>(), std::log(size), 1e-5);
  EXPECT_NEAR(json["runs"][0]["perplexity"].get<double>(), size, 1e-3);
  EXPECT_NEAR(json["loss"]["variance"].get<double>(), 0, 1e-12);
  EXPECT_EQ(json["left_out"], 4);
}

TEST_F(TranslateCommandTest, EvaluateScoresATranslationAgainstItselfWith100) {
  ASSERT_EQ(run(translate({"--input", path("source"), "--output", path("out")})), 0);
  ASSERT_EQ(run({"evaluate", path("random"), "--src", path("source"), "--ref", path("out"), "--beam", "3",
                 "--max-length-b", "12", "--json"}),
            0)
      << program_.errors();
  EXPECT_NEAR(nlohmann::json::parse(program_.output())["runs"][0]["bleu"].get<double>(), 100, 1e-9);
}

TEST_F(TranslateCommandTest, EvaluateWantsAsManyReferencesAsSources) {
  write_file_atomically(folder_ / "short", "A cat.\n");
  EXPECT_EQ(run({"evaluate", path("random"), "--src", path("source"), "--ref", path("short")}), 1);
  EXPECT_THAT(program_.errors(), HasSubstr("wanted as many lines in both"));
}

}  // namespace
}  // namespace megin::cli
