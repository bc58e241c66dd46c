#include "train/longest_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/error.h"
#include "data/split_files.h"

namespace megin::train {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

// Tokens of the source and of the target, without end marks.
using Sizes = std::vector<std::pair<size_t, size_t>>;

class LongestPairsTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  data::PreparedData prepared(const Sizes& train, const Sizes& valid) const {
    data::PreparedData data;
    data.folder = "prepared";
    data.train = written("train", train);
    data.valid = written("valid", valid);
    return data;
  }

  static config::ModelConfig of_length(int64_t most) {
    config::ModelConfig model;
    model.max_length = most;
    return model;
  }

 private:
  data::ExampleSet written(const std::string& split, const Sizes& sizes) const {
    data::ShardSequence shards(folder_, split);
    for (const auto& [source, target] : sizes) {
      const std::vector<int32_t> from(source, 7), to(target, 9);
      shards.add({.source = from, .target = to});
    }
    return {folder_, split, static_cast<int64_t>(shards.finish())};
  }

  fs::path folder_;
};

// A side has an end mark behind its tokens: of 63 they just fit into 64.
TEST_F(LongestPairsTest, ALongSourceOfTheValidationSetIsNamed) {
  const data::PreparedData data = prepared({{63, 63}}, {{5, 63}, {79, 80}, {90, 4}});
  EXPECT_NO_THROW(check_lengths(data, of_length(91)));
  EXPECT_THAT(
      [&] { check_lengths(data, of_length(64)); },
      ThrowsMessage<UsageError>(
          "prepared/valid.src:2: wanted at most 64 tokens with the end mark (model.max_length), found 80; "
          "give all pairs room with --set model.max_length=91, or take long ones out of the validation set "
          "and prepare the data again"));
}

TEST_F(LongestPairsTest, SoIsALongTarget) {
  const data::PreparedData data = prepared({{63, 63}}, {{5, 64}});
  EXPECT_THAT([&] { check_lengths(data, of_length(64)); },
              ThrowsMessage<UsageError>(HasSubstr("prepared/valid.tgt:1: wanted at most 64 tokens")));
  EXPECT_THAT([&] { check_lengths(data, of_length(64)); }, ThrowsMessage<UsageError>(HasSubstr("found 65")));
}

// Of data that another recipe prepared.
TEST_F(LongestPairsTest, SoIsATrainingPair) {
  const data::PreparedData data = prepared({{3, 3}, {3, 10}}, {{5, 5}});
  EXPECT_NO_THROW(check_lengths(data, of_length(11)));
  EXPECT_THAT([&] { check_lengths(data, of_length(8)); },
              ThrowsMessage<UsageError>(HasSubstr("prepared, training pair 2: wanted at most 8 tokens")));
  EXPECT_THAT([&] { check_lengths(data, of_length(8)); },
              ThrowsMessage<UsageError>(HasSubstr("--set data.max_tokens=8")));
}

TEST_F(LongestPairsTest, TextsAndSentencesWithLabelsAreCut) {
  data::PreparedData data = prepared({{3, 30}}, {{5, 50}});
  for (const config::Task task :
       {config::Task::kLanguageModel, config::Task::kBytes, config::Task::kClassification}) {
    data.task = task;
    EXPECT_NO_THROW(check_lengths(data, of_length(8)));
  }
}

}  // namespace
}  // namespace megin::train
