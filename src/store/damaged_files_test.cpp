// Files damaged at random: opening them succeeds or throws Error, and never does anything else. (The address
// and undefined-behaviour sanitizers make this test strict.)
#include <gtest/gtest.h>

#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "store/checkpoint.h"
#include "store/model_directory.h"
#include "store/test_folder.h"
#include "store/toy_model_files.h"

namespace megin::store {
namespace {

namespace fs = std::filesystem;

class DamagedFiles : public TestFolder {
 protected:
  // `trial` decides on one to eight changes: a flipped bit, a random byte, a cut, a doubled piece.
  static std::string damaged(std::string bytes, uint64_t trial) {
    const uint64_t key = mix64(trial);
    const uint64_t changes = 1 + draw_index(key, 0, 8);
    for (uint64_t change = 0; change < changes && !bytes.empty(); ++change) {
      const uint64_t counter = 1 + 4 * change;
      // Mostly in the header, where the damage is interesting.
      const size_t reach =
          draw_index(key, counter, 4) == 0 ? bytes.size() : std::min<size_t>(bytes.size(), 1200);
      const size_t at = draw_index(key, counter + 1, reach);
      const auto byte = static_cast<char>(draw_bits(key, counter + 2));
      switch (draw_index(key, counter + 3, 8)) {
        case 0:
          bytes.resize(at);
          break;
        case 1:
          bytes.insert(at, bytes.substr(at / 2, 20));
          break;
        case 2:
        case 3:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << (byte & 7)));
          break;
        case 4:
          bytes[at] = byte;
          break;
        default:  // stays JSON more often
          bytes[at] = "0123456789[]{},:\""[static_cast<unsigned char>(byte) % 17];
      }
    }
    return bytes;
  }

  // Reads every byte that a tensor claims.
  static int64_t touch(const SafetensorsFile& file) {
    int64_t sum = 0;
    for (const TensorView& tensor : file.tensors()) {
      EXPECT_GE(element_count(tensor.shape), 0);
      for (const std::byte byte : tensor.bytes) sum += static_cast<int64_t>(byte);
    }
    return sum;
  }

  // Calls `use` on the file damaged in many ways; returns how often it threw.
  template <typename Use>
  static int64_t try_damages(const fs::path& file, uint64_t trials, Use use) {
    const std::string good = read_file(file);
    int64_t refused = 0;
    for (uint64_t trial = 0; trial < trials; ++trial) {
      write_file(file, damaged(good, trial));
      try {
        use();
      } catch (const Error&) {
        ++refused;
      }
    }
    write_file(file, good);
    use();
    return refused;
  }

 private:
  // Without flushing to the disk, which thousands of trials would wait for; some file systems do so, too,
  // when a file is cut to nothing and written again, so it is made anew.
  static void write_file(const fs::path& path, const std::string& bytes) {
    fs::remove(path);
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
  }
};

TEST_F(DamagedFiles, SafetensorsAreReadOrRefused) {
  const fs::path file = folder_ / "damaged.safetensors";
  fs::copy_file(fs::path(MEGIN_TEST_FILES) / "reference.safetensors", file);
  int64_t sum = 0;
  const int64_t refused = try_damages(file, 4'000, [&] { sum += touch(SafetensorsFile(file)); });
  EXPECT_GT(refused, 2'000);
  EXPECT_GT(sum, 0);
}

TEST_F(DamagedFiles, ModelDirectoriesAreReadOrRefused) {
  write_file_atomically(folder_ / "joint.model", "x");
  const ModelDescription description = toy_description();
  const std::vector<FloatTensor> tensors = toy_tensors(description.model);
  const SubwordFiles subwords{.source = folder_ / "joint.model", .target = folder_ / "joint.model"};
  write_model_directory(folder_ / "model", description, views(tensors), subwords);
  const auto open = [&] { touch(open_model_directory(folder_ / "model").weights); };
  EXPECT_GT(try_damages(folder_ / "model" / "config.json", 1'200, open), 300);
  EXPECT_GT(try_damages(folder_ / "model" / "model.safetensors", 1'200, open), 300);
}

TEST_F(DamagedFiles, CheckpointsAreReadOrReported) {
  const std::vector<float> values(100, 1.0F);
  const std::vector<TensorView> tensors = {float_tensor("value/w", {100}, values)};
  write_checkpoint(folder_, 7, {.tensors = tensors, .state = {{"update", 7}}});
  int64_t reported = 0;
  const auto open = [&] {
    newest_good_checkpoint(folder_, [&](int64_t, const std::string&) { ++reported; });
  };
  const fs::path directory = checkpoint_directory(folder_, 7);
  EXPECT_EQ(try_damages(directory / "manifest.json", 600, open), 0) << "reported, not thrown";
  EXPECT_GT(reported, 200);
  reported = 0;
  EXPECT_EQ(try_damages(directory / "state.safetensors", 400, open), 0);
  EXPECT_GT(reported, 350) << "a checksum lets no change through; a few trials change nothing";
}

}  // namespace
}  // namespace megin::store
