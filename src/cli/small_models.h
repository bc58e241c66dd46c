// For tests of commands that run models: small ones with random weights and something to read.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/files.h"
#include "cli/command_runner.h"
#include "runtime/random_weights.h"
#include "store/averaging.h"
#include "store/model_directory.h"
#include "store/tensor_names.h"
#include "text/subword.h"

namespace megin::cli {

void add_evaluate_command(Program& program);

inline constexpr int64_t kExperts = 4, kLayers = 3;

// A language model and one that translates, of four experts in each of three layers, a text and two sides.
class SmallModelsTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    std::ranges::replace(name, '/', '_');  // of a test with parameters
    folder_ = std::filesystem::path(testing::TempDir()) / name;
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
    text::SubwordTraining training;
    training.config.vocabulary = 12;
    training.config.byte_fallback = false;
    int line = 0;
    write_file_atomically(path("subword"), text::train_subword(training, [&line](std::string& sentence) {
                            sentence = line % 2 == 0 ? "ab ba abba" : "cd dc cddc";
                            return ++line < 40;
                          }));
    std::string text;
    for (int i = 0; i < 30; ++i) text += i % 3 == 0 ? "ab cddc ba\n" : "dc abba abba cd\n";
    write_file_atomically(path("text"), text);
    config::ModelConfig lm = model_config();
    lm.kind = config::ModelKind::kCausalLm;
    lm.encoder_layers = 0;
    lm.decoder_layers = kLayers;
    write_model("lm", lm);
    write_model("translates", model_config());
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  config::ModelConfig model_config() const {
    config::ModelConfig model;
    model.width = 16;
    model.feed_forward = 24;
    model.heads = 2;
    model.encoder_layers = 1;
    model.decoder_layers = 2;
    model.max_length = 30;
    model.source_vocabulary = model.target_vocabulary = text::SubwordModel(path("subword")).size();
    model.experts = {.count = kExperts,
                     .every = 1,
                     .router = config::RouterKind::kFixed,
                     .active = kExperts,
                     .gate = config::Gate::kSoftmaxOfChosen};
    return model;
  }

  // (name, values): puts what a tensor has in the place of random numbers.
  using Change = std::function<void(const std::string&, std::vector<float>&)>;
  void write_model(
      const std::string& name, const config::ModelConfig& model,
      const Change& change = [](const auto&, auto&) {}) const {
    store::ModelDescription description;
    description.model = model;
    if (model.classes == 3) description.classes = {"bad", "so so", "good"};
    const runtime::TensorSource random = runtime::random_weights(model, 3);
    std::vector<store::FloatTensor> tensors;
    for (const store::TensorShape& shape : store::tensor_shapes(model)) {
      const auto values = random(shape.name);
      tensors.push_back({.name = shape.name, .shape = shape.shape, .values = {values.begin(), values.end()}});
      change(shape.name, tensors.back().values);
    }
    store::write_model_directory(path(name), description, store::views(tensors),
                                 {path("subword"), path("subword")});
  }

  // For a dense model: every other hidden unit looks for a direction, the rest for the opposite one, so that
  // a token activates either half.
  static Change planted_groups(const config::ModelConfig& model) {
    return [width = model.width, units = model.feed_forward](const std::string& name,
                                                             std::vector<float>& values) {
      if (name.ends_with("fc1.bias")) std::ranges::fill(values, 0.0F);
      if (!name.ends_with("fc1.weight")) return;
      for (int64_t unit = 1; unit < units; ++unit) {
        const float by = (unit % 2 == 0 ? 0.1F : -0.1F) * static_cast<float>(unit);
        for (int64_t i = 0; i < width; ++i)
          values[static_cast<size_t>(unit * width + i)] = by * values[static_cast<size_t>(i)];
      }
    };
  }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  struct Answer {
    int code = 0;
    std::string output, errors;
    nlohmann::json json() const { return nlohmann::json::parse(output); }
  };
  static Answer run(const std::string& command, void (*add)(Program&), std::vector<std::string> arguments) {
    CommandRunner runner(command.c_str(), add);
    const int code = runner.run(std::move(arguments));
    return {code, runner.output(), runner.errors()};
  }
  double loss_of(const std::string& model, const std::string& experts, bool unscaled = false) const {
    std::vector<std::string> arguments = {path(model), "--text", path("text"),
                                          "--experts", experts,  "--json"};
    if (unscaled) arguments.push_back("--unscaled");
    const Answer answer = run("evaluate", &add_evaluate_command, arguments);
    EXPECT_EQ(answer.code, 0) << answer.errors;
    return answer.json()["runs"][0]["loss"].get<double>();
  }

  std::filesystem::path folder_;
};

}  // namespace megin::cli
