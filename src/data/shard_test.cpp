#include "data/shard.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "data/example_set.h"

namespace megin::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

class ShardTest : public testing::Test {
 protected:
  fs::path folder_ =
      fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
  fs::path path_ = folder_ / "train-00000.shard";

  void SetUp() override {
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }

  // Three examples: 3+2 tokens, an empty source, nothing at all.
  void write_three() const {
    ShardWriter writer(path_);
    writer.add({std::vector<int32_t>{7, 8, 9}, std::vector<int32_t>{10, 11}, 0});
    writer.add({{}, std::vector<int32_t>{70000}, 2});
    writer.add({{}, {}, 1});
    EXPECT_EQ(writer.bytes(), 64 + 24 + 32 + 24);
    writer.finish();
  }

  std::string bytes() const { return read_file(path_); }
  void put_back(const std::string& bytes) const { std::ofstream(path_, std::ios::binary) << bytes; }

  std::string error_of_opening() const {
    try {
      Shard(path_).verify();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

TEST_F(ShardTest, GivesBackWhatWasAdded) {
  write_three();
  const Shard shard(path_);
  ASSERT_EQ(shard.size(), 3);
  EXPECT_THAT(shard.example(0).source, ElementsAre(7, 8, 9));
  EXPECT_THAT(shard.example(0).target, ElementsAre(10, 11));
  EXPECT_THAT(shard.example(1).source, IsEmpty());
  EXPECT_THAT(shard.example(1).target, ElementsAre(70000));
  EXPECT_EQ(shard.example(1).corpus, 2);
  EXPECT_THAT(shard.example(2).target, IsEmpty());
  shard.verify();
}

// Byte for byte what docs/data_format.md says.
TEST_F(ShardTest, LaysOutTheFileAsDocumented) {
  write_three();
  const std::string file = bytes();
  ASSERT_EQ(file.size(), 144u);
  const auto u32 = [&](size_t at) { return *reinterpret_cast<const uint32_t*>(file.data() + at); };
  const auto u64 = [&](size_t at) { return *reinterpret_cast<const uint64_t*>(file.data() + at); };
  EXPECT_EQ(file.substr(0, 8), "MEGSHARD");
  EXPECT_EQ(u32(8), 1u);    // version
  EXPECT_EQ(u32(12), 64u);  // bytes of the header
  EXPECT_EQ(u64(16), 3u);   // examples
  EXPECT_EQ(u64(24), 6u);   // tokens
  EXPECT_EQ(u64(32), 144u);
  EXPECT_EQ(u64(40), checksum(std::string_view(file).substr(64)));
  EXPECT_EQ(u64(48), 0u);
  EXPECT_EQ(u64(56), checksum(std::string_view(file).substr(0, 56)));
  EXPECT_THAT((std::vector<uint32_t>{u32(64), u32(68), u32(72), u32(76), u32(80), u32(84)}),
              ElementsAre(7, 8, 9, 10, 11, 70000));
  EXPECT_THAT((std::vector<uint64_t>{u64(88), u64(96), u64(104), u64(112)}), ElementsAre(0, 5, 6, 6));
  EXPECT_THAT((std::vector<uint32_t>{u32(120), u32(124), u32(128), u32(132), u32(136), u32(140)}),
              ElementsAre(3, 0, 0, 2, 0, 1));
}

TEST_F(ShardTest, AnEmptyShardIsSound) {
  ShardWriter(path_).finish();
  EXPECT_EQ(Shard(path_).size(), 0);
  EXPECT_EQ(error_of_opening(), "");
}

TEST_F(ShardTest, EveryChangedByteIsNoticed) {
  write_three();
  const std::string good = bytes();
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x41);
    put_back(bad);
    EXPECT_THAT(error_of_opening(), HasSubstr(path_.string())) << "byte " << at;
  }
}

TEST_F(ShardTest, EveryTruncationIsNoticed) {
  write_three();
  const std::string good = bytes();
  for (size_t size = 0; size < good.size(); ++size) {
    put_back(good.substr(0, size));
    EXPECT_THROW(Shard{path_}, Error) << size << " bytes";
  }
  put_back(good + "x");
  EXPECT_THROW(Shard{path_}, Error);
}

TEST_F(ShardTest, DamagedTablesAreNoticedOnOpening) {
  write_three();
  std::string bad = bytes();
  bad[96] = 100;  // the second example begins behind the last token
  put_back(bad);
  EXPECT_THROW(Shard{path_}, Error);
}

TEST_F(ShardTest, AnUnfinishedShardIsNone) {
  {
    ShardWriter writer(path_);
    writer.add({std::vector<int32_t>(100, 5), std::vector<int32_t>(100, 6), 0});
  }
  EXPECT_THAT(error_of_opening(), HasSubstr("wanted a shard"));
}

TEST_F(ShardTest, AnotherVersionIsNamed) {
  write_three();
  std::string newer = bytes();
  newer[8] = 2;
  put_back(newer);
  EXPECT_THAT(error_of_opening(), HasSubstr("version 2, wanted 1"));
}

TEST_F(ShardTest, ASetNumbersItsShardsThrough) {
  for (int shard = 0; shard < 3; ++shard) {
    ShardWriter writer(shard_path(folder_, "train", shard));
    for (int i = 0; i < shard; ++i) writer.add({std::vector<int32_t>{shard}, std::vector<int32_t>{i}, 0});
    writer.finish();
  }
  const ExampleSet set(folder_, "train", 3);  // of 0, 1 and 2 examples
  ASSERT_EQ(set.size(), 3);
  EXPECT_THAT(set.example(0).source, ElementsAre(1));
  EXPECT_THAT(set.example(1).source, ElementsAre(2));
  EXPECT_THAT(set.example(2).target, ElementsAre(1));
  EXPECT_THROW(ExampleSet(folder_, "train", 4), Error);
}

}  // namespace
}  // namespace megin::data
