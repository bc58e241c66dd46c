// What the commands make of a masked language model.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/command_runner.h"
#include "runtime/random_weights.h"
#include "store/model_directory.h"
#include "store/tensor_names.h"
#include "text/small_vocabulary.h"

namespace megin::cli {

void add_calibrate_command(Program& program);
void add_evaluate_command(Program& program);
void add_generate_command(Program& program);
void add_info_command(Program& program);
void add_translate_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

// Two directories of one model with a fixed router of four experts: random weights, and zeros.
class MaskedModelCommands : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    write_file_atomically(path("subword"), text::small_vocabulary().bytes());
    std::string text;
    for (int i = 0; i < 30; ++i) text += i % 3 == 0 ? "a bc abc cb a\n" : "abc a bcbc a a bc\n";
    write_file_atomically(path("text"), text);
    write_model("random", false);
    write_model("zero", true);
  }
  void TearDown() override { fs::remove_all(folder_); }

  void write_model(const std::string& name, bool zeros) const {
    store::ModelDescription description;
    description.target_language = "en";
    config::ModelConfig& model = description.model;
    model.kind = config::ModelKind::kMaskedLm;
    model.width = 16;
    model.feed_forward = 24;
    model.heads = 2;
    model.encoder_layers = 3;
    model.decoder_layers = 0;
    model.max_length = 20;
    model.norm_embeddings = model.output_transform = true;
    model.source_vocabulary = model.target_vocabulary = text::small_vocabulary().size();
    model.experts = {.count = 4,
                     .every = 1,
                     .router = config::RouterKind::kFixed,
                     .active = 4,
                     .gate = config::Gate::kSoftmaxOfChosen};
    const runtime::TensorSource random = runtime::random_weights(model, 3);
    std::vector<std::vector<float>> values;
    std::vector<store::TensorView> tensors;
    for (const store::TensorShape& tensor : store::tensor_shapes(model)) {
      const auto from = random(tensor.name);
      values.emplace_back(from.begin(), from.end());
      if (zeros) std::ranges::fill(values.back(), 0.0F);
      tensors.push_back(store::float_tensor(tensor.name, tensor.shape, values.back()));
    }
    store::write_model_directory(path(name), description, tensors, {path("subword"), path("subword")});
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  // The exit code; output_ and errors_ hold what was written.
  int run(const std::string& command, void (*add)(Program&), std::vector<std::string> arguments) {
    CommandRunner runner(command, add);
    const int code = runner.run(std::move(arguments));
    output_ = runner.output();
    errors_ = runner.errors();
    return code;
  }
  nlohmann::json evaluate(const std::string& model, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {path(model), "--text", path("text"), "--json"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    EXPECT_EQ(run("evaluate", &add_evaluate_command, arguments), 0) << errors_;
    return nlohmann::json::parse(output_);
  }

  fs::path folder_;
  std::string output_, errors_;
};

// Of 263 symbols all alike.
TEST_F(MaskedModelCommands, EvaluateTellsNatsAndBitsOfMaskedTokens) {
  const auto found = evaluate("zero");
  EXPECT_NEAR(found["runs"][0]["loss"].get<double>(), std::log(263.0), 1e-5);
  EXPECT_NEAR(found["runs"][0]["perplexity"].get<double>(), 263, 1e-2);
  EXPECT_NEAR(found["runs"][0]["bits_per_token"].get<double>(), std::log2(263.0), 1e-5);
  EXPECT_EQ(found["lines"], 30);
  EXPECT_FALSE(found.contains("bytes"));
  EXPECT_FALSE(found["runs"][0].contains("word_perplexity"));
  const auto more = evaluate("zero", {"--mask-rate", "0.5"});
  EXPECT_GT(more["tokens"].get<int64_t>(), 2 * found["tokens"].get<int64_t>());
  ASSERT_EQ(run("evaluate", &add_evaluate_command, {path("zero"), "--text", path("text")}), 0);
  EXPECT_THAT(output_, HasSubstr("loss 5.5722 nats a masked token, perplexity 263.0"));
  EXPECT_THAT(output_, HasSubstr("8.0389 bits a masked token"));
}

TEST_F(MaskedModelCommands, EvaluateGivesTheSameAtAnyBatchAndThreadsAndAnotherWithFewerExperts) {
  const auto loss = [](const nlohmann::json& found) { return found["runs"][0]["loss"].get<double>(); };
  const double wanted = loss(evaluate("random"));
  EXPECT_EQ(loss(evaluate("random", {"--batch-tokens", "1", "--threads", "3"})), wanted);
  EXPECT_EQ(loss(evaluate("random", {"--experts", "k=4"})), wanted);
  EXPECT_NE(loss(evaluate("random", {"--experts", "k=1"})), wanted);
  EXPECT_NE(loss(evaluate("random", {"--whole-words"})), wanted);
  EXPECT_NE(loss(evaluate("random", {"--block-tokens", "10"})), wanted);
}

TEST_F(MaskedModelCommands, WhatItCannotDoIsSaidInOneSentence) {
  EXPECT_EQ(run("translate", &add_translate_command, {path("random")}), 2);
  EXPECT_THAT(errors_, HasSubstr("wanted a model that translates, found one that restores masked tokens "
                                 "(masked_lm); megin evaluate --text measures it"));
  EXPECT_EQ(run("generate", &add_generate_command, {path("random"), "--prompt", "a"}), 2);
  EXPECT_THAT(errors_, HasSubstr("found one that restores masked tokens"));
  EXPECT_EQ(
      run("evaluate", &add_evaluate_command, {path("random"), "--src", path("text"), "--ref", path("text")}),
      2);
  EXPECT_THAT(errors_, HasSubstr("wanted --text FILE for a language model"));
  EXPECT_EQ(
      run("evaluate", &add_evaluate_command, {path("random"), "--text", path("text"), "--mask-rate", "1"}),
      2);
  EXPECT_THAT(errors_, HasSubstr("--mask-rate: wanted a share above 0, below 1, found 1"));
  write_file_atomically(path("empty"), "\n\n");
  EXPECT_EQ(run("evaluate", &add_evaluate_command, {path("random"), "--text", path("empty")}), 1);
  EXPECT_THAT(errors_, HasSubstr("wanted a text with tokens to mask, found none"));
}

TEST_F(MaskedModelCommands, CalibratedScalesChangeFewerExpertsOnly) {
  ASSERT_EQ(
      run("calibrate", &add_calibrate_command, {path("random"), path("scaled"), "--text", path("text")}), 0)
      << errors_;
  const auto loss = [](const nlohmann::json& found) { return found["runs"][0]["loss"].get<double>(); };
  EXPECT_EQ(loss(evaluate("scaled")), loss(evaluate("random")));
  EXPECT_NE(loss(evaluate("scaled", {"--experts", "k=1"})), loss(evaluate("random", {"--experts", "k=1"})));
}

TEST_F(MaskedModelCommands, InfoTellsOfOneStack) {
  ASSERT_EQ(run("info", &add_info_command, {path("random")}), 0) << errors_;
  EXPECT_THAT(output_, HasSubstr("language     en\n"));
  EXPECT_THAT(output_, HasSubstr("layers       3 of width 16"));
  EXPECT_THAT(output_, HasSubstr("  text "));
  EXPECT_THAT(output_, HasSubstr("  + output, where asked "));
  EXPECT_THAT(output_, HasSubstr("  text with k=1 "));
  EXPECT_THAT(output_, testing::Not(HasSubstr("target")));
}

}  // namespace
}  // namespace megin::cli
