#include "store/checkpoint.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "base/error.h"
#include "store/test_folder.h"

namespace megin::store {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public TestFolder {
 protected:
  void write(int64_t update) {
    const std::vector<float> values = {static_cast<float>(update), 0.5F};
    const std::vector<TensorView> tensors = {float_tensor("value/w", {2}, values),
                                             float_tensor("first_moment/w", {2}, values)};
    write_checkpoint(folder_, update, {.tensors = tensors, .state = {{"update", update}, {"rate", 0.1}}});
  }

  fs::path file(int64_t update, const char* name) { return checkpoint_directory(folder_, update) / name; }

  // The update that is resumed from, -1 for none; fills damage_.
  int64_t newest() {
    damage_.clear();
    const auto found = newest_good_checkpoint(folder_, [&](int64_t update, const std::string& what) {
      damage_.push_back(std::to_string(update) + ": " + what);
    });
    return found ? found->update : -1;
  }

  void expect_skipped(const std::string& because) {
    EXPECT_EQ(newest(), 10);
    ASSERT_EQ(damage_.size(), 1U);
    EXPECT_TRUE(damage_[0].starts_with("20: ")) << damage_[0];
    EXPECT_NE(damage_[0].find(because), std::string::npos) << damage_[0];
  }

  std::vector<std::string> damage_;
};

TEST_F(CheckpointTest, GivesBackWhatWasWritten) {
  write(10);
  const Checkpoint checkpoint = open_checkpoint(folder_, 10);
  EXPECT_EQ(checkpoint.update, 10);
  EXPECT_EQ(float_values(checkpoint.tensors.at("value/w"))[0], 10.0F);
  EXPECT_EQ(checkpoint.state.at("update"), 10);
  EXPECT_EQ(checkpoint.state.at("rate").get<double>(), 0.1);
  EXPECT_EQ(checkpoint.directory, folder_ / "checkpoints" / "update-10");
}

TEST_F(CheckpointTest, TheNewestIsByNumberNotByName) {
  for (const int64_t update : {9, 100, 20}) write(update);
  EXPECT_EQ(list_checkpoints(folder_), (std::vector<int64_t>{9, 20, 100}));
  EXPECT_EQ(newest(), 100);
  EXPECT_TRUE(damage_.empty());
}

TEST_F(CheckpointTest, ARunWithoutCheckpointsHasNone) {
  EXPECT_EQ(newest(), -1);
  EXPECT_TRUE(list_checkpoints(folder_).empty());
}

TEST_F(CheckpointTest, WritingAgainReplaces) {
  write(10);
  const std::vector<float> values = {42};
  const std::vector<TensorView> tensors = {float_tensor("value/w", {1}, values)};
  write_checkpoint(folder_, 10, {.tensors = tensors});
  EXPECT_EQ(float_values(open_checkpoint(folder_, 10).tensors.at("value/w"))[0], 42.0F);
}

TEST_F(CheckpointTest, OneFlippedBitIsFound) {
  write(10);
  write(20);
  std::string bytes = read_file(file(20, "state.safetensors"));
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  write_file_atomically(file(20, "state.safetensors"), bytes);
  expect_skipped("state.safetensors: wanted checksum");
}

TEST_F(CheckpointTest, AFileCutShortIsFound) {
  write(10);
  write(20);
  const uint64_t size = fs::file_size(file(20, "state.safetensors"));
  fs::resize_file(file(20, "state.safetensors"), size - 1);
  expect_skipped("state.safetensors: wanted " + std::to_string(size) + " bytes by the manifest, found " +
                 std::to_string(size - 1));
}

TEST_F(CheckpointTest, AMissingFileIsFound) {
  write(10);
  write(20);
  fs::remove(file(20, "state.json"));
  expect_skipped("state.json: No such file");
}

TEST_F(CheckpointTest, AMissingManifestIsFound) {
  write(10);
  write(20);
  fs::remove(file(20, "manifest.json"));
  expect_skipped("manifest.json: cannot open");
}

TEST_F(CheckpointTest, AManifestThatIsNotOneIsFound) {
  write(10);
  write(20);
  for (const char* text :
       {"", "{", "[]", "{}", R"({"format": 1, "update": 20, "files": {}})", "{\"format\": \"x\"}",
        R"({"format": 1, "update": 20, "files": {"state.safetensors": 3}})"}) {
    write_file_atomically(file(20, "manifest.json"), text);
    expect_skipped("manifest.json: is not");
  }
  write_file_atomically(file(20, "manifest.json"), R"({"format": 2})");
  expect_skipped("wanted format 1, found 2");
}

TEST_F(CheckpointTest, ARenamedCheckpointIsFound) {
  write(10);
  fs::rename(checkpoint_directory(folder_, 10), checkpoint_directory(folder_, 20));
  write(10);
  expect_skipped("is the manifest of update 10");
}

TEST_F(CheckpointTest, WhenAllAreDamagedThereIsNone) {
  write(10);
  write(20);
  fs::remove(file(10, "manifest.json"));
  fs::remove(file(20, "manifest.json"));
  EXPECT_EQ(newest(), -1);
  EXPECT_EQ(damage_.size(), 2U);
}

TEST_F(CheckpointTest, LeftoversOfInterruptedWritesAreClearedAway) {
  write(10);
  fs::create_directories(folder_ / "checkpoints" / "update-20.tmp-4711");
  write_file_atomically(folder_ / "checkpoints" / "update-20.tmp-4711" / "state.json", "{");
  fs::create_directories(folder_ / "checkpoints" / "notes");
  EXPECT_EQ(newest(), 10);
  EXPECT_TRUE(damage_.empty());
  EXPECT_FALSE(fs::exists(folder_ / "checkpoints" / "update-20.tmp-4711"));
  EXPECT_TRUE(fs::exists(folder_ / "checkpoints" / "notes")) << "what is not ours stays";
}

TEST_F(CheckpointTest, ACrashInTheMiddleOfAReplacementLosesNothing) {
  write(10);
  fs::rename(checkpoint_directory(folder_, 10), folder_ / "checkpoints" / "update-10.tmp-4711.old");
  fs::create_directories(folder_ / "checkpoints" / "update-10.tmp-4711");
  EXPECT_EQ(newest(), 10);
  EXPECT_TRUE(damage_.empty());
}

TEST_F(CheckpointTest, SeveralAreReadNewestFirstAndNothingIsTouched) {
  for (const int64_t update : {10, 20, 30, 40}) write(update);
  fs::remove(file(30, "manifest.json"));
  fs::create_directories(folder_ / "checkpoints" / "update-50.tmp-4711");
  std::vector<int64_t> found;
  for (const Checkpoint& checkpoint :
       newest_good_checkpoints(folder_, 2, [](int64_t, const std::string&) {})) {
    found.push_back(checkpoint.update);
  }
  EXPECT_EQ(found, (std::vector<int64_t>{40, 20}));
  EXPECT_TRUE(fs::exists(folder_ / "checkpoints" / "update-50.tmp-4711"));
}

TEST_F(CheckpointTest, PruningKeepsTheNewestAndTheProtected) {
  for (const int64_t update : {10, 20, 30, 40, 50}) write(update);
  const Checkpoint open = open_checkpoint(folder_, 30);
  const std::vector<int64_t> best = {20};
  prune_checkpoints(folder_, 2, best);
  EXPECT_EQ(list_checkpoints(folder_), (std::vector<int64_t>{20, 40, 50}));
  EXPECT_EQ(float_values(open.tensors.at("value/w"))[0], 30.0F) << "an open one stays readable";
  prune_checkpoints(folder_, 9, {});
  EXPECT_EQ(list_checkpoints(folder_).size(), 3U);
  EXPECT_THROW(prune_checkpoints(folder_, 0, {}), UsageError);
}

// In a child process with a limit on file sizes, which the kernel answers as it does a full disk: a write
// fails half way.
TEST_F(CheckpointTest, AFullDiskIsAnErrorAndTheLastGoodStateStays) {
  write(10);
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit = {.rlim_cur = 100'000, .rlim_max = 100'000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::vector<float> values(1'000'000, 1.0F);
    const std::vector<TensorView> tensors = {float_tensor("value/w", {1'000'000}, values)};
    try {
      write_checkpoint(folder_, 20, {.tensors = tensors});
    } catch (const Error& error) {
      ::_exit(std::string(error.what()).find("cannot write") != std::string::npos ? 0 : 2);
    }
    ::_exit(1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: no error; 2: another message";
  EXPECT_EQ(list_checkpoints(folder_), (std::vector<int64_t>{10}));
  EXPECT_EQ(std::distance(fs::directory_iterator(folder_ / "checkpoints"), fs::directory_iterator()), 1)
      << "no temporary is left";
  EXPECT_EQ(newest(), 10);
}

}  // namespace
}  // namespace megin::store
