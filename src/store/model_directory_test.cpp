#include "store/model_directory.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "store/averaging.h"
#include "store/test_folder.h"
#include "store/toy_model_files.h"

namespace megin::store {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ModelDirectoryTest : public TestFolder {
 protected:
  void SetUp() override {
    TestFolder::SetUp();
    model_ = folder_ / "model";
    write_file_atomically(folder_ / "joint.model", "not really a SentencePiece model");
    tensors_ = toy_tensors(toy_description().model);
  }

  void write() {
    write_model_directory(model_, toy_description(), views(tensors_),
                          {.source = folder_ / "joint.model", .target = folder_ / "joint.model"});
  }

  void edit_config(const std::function<void(json&)>& edit) {
    json config = json::parse(read_file(model_ / "config.json"));
    edit(config);
    write_file_atomically(model_ / "config.json", config.dump());
  }

  void expect_refused(const std::string& because) {
    const std::string message = message_of([&] { open_model_directory(model_); });
    EXPECT_NE(message.find(because), std::string::npos) << message;
    EXPECT_NE(message.find(folder_.string()), std::string::npos) << message;
  }

  fs::path model_;
  std::vector<FloatTensor> tensors_;
};

TEST_F(ModelDirectoryTest, GivesBackWhatWasWritten) {
  write();
  const ModelDirectory opened = open_model_directory(model_);
  const ModelDescription wanted = toy_description();
  EXPECT_EQ(opened.description.model, wanted.model);
  EXPECT_EQ(opened.description.source_language, "en");
  EXPECT_EQ(opened.description.target_language, "de");
  EXPECT_EQ(opened.description.tags, wanted.tags);
  Provenance provenance = opened.description.provenance;
  EXPECT_FALSE(provenance.megin_version.empty());
  provenance.megin_version.clear();
  EXPECT_EQ(provenance, wanted.provenance);
  EXPECT_EQ(opened.weights.tensors().size(), tensors_.size());
  EXPECT_TRUE(opened.subwords.joint());
  EXPECT_EQ(read_file(opened.subwords.source), "not really a SentencePiece model");
}

TEST_F(ModelDirectoryTest, HoldsNothingElse) {
  write();
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(model_)) names.push_back(entry.path().filename());
  std::ranges::sort(names);
  EXPECT_EQ(names, (std::vector<std::string>{"config.json", "model.safetensors", "subword.model"}));
}

TEST_F(ModelDirectoryTest, SidesMayHaveTheirOwnSubwords) {
  write_file_atomically(folder_ / "other.model", "another");
  write_model_directory(model_, toy_description(), views(tensors_),
                        {.source = folder_ / "joint.model", .target = folder_ / "other.model"});
  const ModelDirectory opened = open_model_directory(model_);
  EXPECT_FALSE(opened.subwords.joint());
  EXPECT_EQ(read_file(opened.subwords.target), "another");
}

TEST_F(ModelDirectoryTest, IsReplacedAsAWhole) {
  write();
  tensors_.front().values.front() = 99;
  // From its own subword model, and under a name with a slash at its end.
  write_model_directory(model_ / "", toy_description(), views(tensors_),
                        {.source = model_ / "subword.model", .target = model_ / "subword.model"});
  const ModelDirectory opened = open_model_directory(model_);
  EXPECT_EQ(float_values(opened.weights.at(tensors_.front().name))[0], 99.0F);
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_), fs::directory_iterator()), 2);
}

TEST_F(ModelDirectoryTest, NeverReplacesWhatIsNotAModel) {
  fs::create_directories(model_);
  write_file_atomically(model_ / "thesis.txt", "years of work");
  const std::string message = message_of([&] { write(); });
  EXPECT_NE(message.find("not a model directory"), std::string::npos) << message;
  EXPECT_EQ(read_file(model_ / "thesis.txt"), "years of work");
}

TEST_F(ModelDirectoryTest, TheWriterNamesTheTensorThatIsWrong) {
  const std::string name = tensors_.back().name;
  FloatTensor last = tensors_.back();
  tensors_.pop_back();
  std::string message = message_of([&] { write(); });
  EXPECT_NE(message.find("'" + name + "' of shape [4] is missing"), std::string::npos) << message;
  last.shape = {2, 2};
  tensors_.push_back(last);
  message = message_of([&] { write(); });
  EXPECT_NE(message.find("'" + name + "': wanted shape [4] by the configuration, found [2, 2]"),
            std::string::npos)
      << message;
  tensors_.back().shape = {4};
  last.name = "more";
  tensors_.push_back(last);
  message = message_of([&] { write(); });
  EXPECT_NE(message.find("'more' belongs to no part"), std::string::npos) << message;
  EXPECT_FALSE(fs::exists(model_));
}

TEST_F(ModelDirectoryTest, AMissingSubwordFileIsNamedAndNothingIsWritten) {
  fs::remove(folder_ / "joint.model");
  const std::string message = message_of([&] { write(); });
  EXPECT_NE(message.find("joint.model"), std::string::npos) << message;
  EXPECT_TRUE(fs::is_empty(folder_));
}

TEST_F(ModelDirectoryTest, WhatIsNotThereIsNamed) {
  expect_refused("found nothing");
  write();
  fs::remove(model_ / "subword.model");
  expect_refused("subword.model: not found");
  write_file_atomically(model_ / "subword.model", "x");
  fs::remove(model_ / "model.safetensors");
  expect_refused("model.safetensors: cannot open");
  fs::remove(model_ / "config.json");
  expect_refused("config.json: cannot open");
}

TEST_F(ModelDirectoryTest, AConfigThatDoesNotFitTheWeightsIsNamed) {
  write();
  edit_config([](json& config) { config["model"]["feed_forward"] = 7; });
  expect_refused(
      "'encoder.layers.0.feed_forward.fc1.weight': wanted shape [7, 4] by the configuration, found [6, 4]");
  edit_config(
      [](json& config) { config["model"]["feed_forward"] = 6, config["model"]["decoder_layers"] = 2; });
  expect_refused("'decoder.layers.1.self_attention.query_key_value.weight' of shape [12, 4] is missing");
  edit_config([](json& config) { config["model"]["decoder_layers"] = int64_t{1} << 60; });
  expect_refused("found 33 tensors");
  edit_config([](json& config) {
    config["model"]["decoder_layers"] = 1, config["model"]["width"] = int64_t{1} << 62;
  });
  expect_refused("more than any model has");
}

TEST_F(ModelDirectoryTest, AConfigThatIsWrongIsNamed) {
  write();
  const json good = json::parse(read_file(model_ / "config.json"));
  edit_config([](json& config) { config["format"] = 2; });
  expect_refused("wanted format 1, found 2");
  write_file_atomically(model_ / "config.json", good.dump());
  edit_config([](json& config) { config["model"]["activation"] = "tanh"; });
  expect_refused("tanh");
  write_file_atomically(model_ / "config.json", good.dump());
  edit_config([](json& config) { config["subwords"]["source"] = "../joint.model"; });
  expect_refused("wanted the name of a subword file beside it, found '../joint.model'");
  for (const auto& [key, value] : good.items()) {
    json without = good;
    without.erase(key);
    write_file_atomically(model_ / "config.json", without.dump());
    expect_refused(key);
  }
  write_file_atomically(model_ / "config.json", "{\"model\": " + std::string(1'000'000, '['));
  expect_refused("nested too deeply");
  write_file_atomically(model_ / "config.json", "{");
  expect_refused("not the config.json of a model");
}

// Exit code 1, not 2: the file is wrong, the call is not.
TEST_F(ModelDirectoryTest, AWrongConfigIsNoUsageError) {
  write();
  edit_config([](json& config) { config["model"]["heads"] = 3; });
  try {
    open_model_directory(model_);
    FAIL();
  } catch (const UsageError& error) {
    FAIL() << error.what();
  } catch (const Error&) {
  }
}

TEST_F(ModelDirectoryTest, AClassifierHasItsLabels) {
  ModelDescription description = toy_description();
  description.model.kind = config::ModelKind::kCausalLm;
  description.model.encoder_layers = 0;
  description.model.classes = 2;
  tensors_ = toy_tensors(description.model);
  const auto write_classes = [&](std::vector<std::string> classes) {
    description.classes = std::move(classes);
    write_model_directory(model_, description, views(tensors_),
                          {.source = folder_ / "joint.model", .target = folder_ / "joint.model"});
  };
  EXPECT_NE(message_of([&] { write_classes({"alone"}); }).find("wanted labels of 2 classes"),
            std::string::npos);
  write_classes({"bad", "good"});
  EXPECT_EQ(open_model_directory(model_).description.classes, (std::vector<std::string>{"bad", "good"}));
  edit_config([](json& config) { config["classes"].push_back("more"); });
  expect_refused("wanted labels of 2 classes, as its model has them, found 3");
  edit_config([](json& config) { config.erase("classes"); });
  expect_refused("found 0");
}

}  // namespace
}  // namespace megin::store
