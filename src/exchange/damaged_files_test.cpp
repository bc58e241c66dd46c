// Files damaged at random: reading them succeeds or throws Error, and never does anything else. (The address
// and undefined-behaviour sanitizers make this test strict.)
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/files.h"
#include "base/random.h"
#include "exchange/plan.h"
#include "exchange/sentencepiece_file.h"
#include "exchange/torch_file.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;

class DamagedCheckpoints : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              (std::string("megin_damaged_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  // `trial` decides on one to six changes: a flipped bit, a random byte, a cut, a doubled piece.
  static std::string damaged(std::string bytes, uint64_t trial) {
    const uint64_t key = mix64(trial + 77);
    const uint64_t changes = 1 + draw_index(key, 0, 6);
    for (uint64_t change = 0; change < changes && !bytes.empty(); ++change) {
      const uint64_t counter = 1 + 3 * change;
      const size_t at = draw_index(key, counter, bytes.size());
      const auto byte = static_cast<char>(draw_bits(key, counter + 1));
      switch (draw_index(key, counter + 2, 12)) {
        case 0:
          bytes.resize(at);
          break;
        case 1:
          bytes.insert(at, bytes.substr(at / 2, 20));
          break;
        case 2:
        case 3:
        case 4:
          bytes[at] = static_cast<char>(bytes[at] ^ (1 << (byte & 7)));
          break;
        case 5:
        case 6:
          bytes[at] = static_cast<char>(byte < 0 ? 0xFF : 0);  // lengths and places at their ends
          break;
        default:
          bytes[at] = byte;
      }
    }
    return bytes;
  }

  template <typename Use>
  int64_t try_damages(const fs::path& good, const fs::path& copy, uint64_t trials, Use use) const {
    const std::string bytes = read_file(good);
    int64_t refused = 0;
    for (uint64_t trial = 0; trial < trials; ++trial) {
      fs::remove(copy);
      std::ofstream(copy, std::ios::binary) << damaged(bytes, trial);
      try {
        use(copy);
      } catch (const Error&) {
        ++refused;
      }
    }
    fs::remove(copy);
    std::ofstream(copy, std::ios::binary) << bytes;
    use(copy);
    return refused;
  }

  fs::path folder_;
};

TEST_F(DamagedCheckpoints, TorchFilesAreReadOrRefused) {
  double sum = 0;
  const auto read = [&](const fs::path& path) {
    const TorchFile file(path);
    for (const StridedTensor& tensor : file.tensors()) {
      if (tensor.dtype == store::DType::kI64) continue;
      for (const float value : to_floats(tensor)) sum += value > 0 ? 1 : 0;
    }
  };
  const fs::path pickles = fs::path(MEGIN_TEST_FILES) / "pickles";
  EXPECT_GT(try_damages(pickles / "table.bin", folder_ / "table.bin", 4'000, read), 1'500);
  EXPECT_GT(try_damages(pickles / "nested.bin", folder_ / "nested.bin", 2'000, read), 1'000);
  EXPECT_GT(sum, 0);
}

TEST_F(DamagedCheckpoints, SentencePieceFilesAreReadOrRefused) {
  const auto read = [](const fs::path& path) { read_sentencepiece(read_file(path), path.string()); };
  EXPECT_GT(
      try_damages(fs::path(MEGIN_TEST_FILES) / "marian" / "source.spm", folder_ / "source.spm", 2'000, read),
      300);
}

// Whole folders with one file damaged: config, vocabulary, merges, SentencePiece.
TEST_F(DamagedCheckpoints, FoldersAreReadOrRefused) {
  for (const auto& [kind, names] :
       {std::pair("gpt2", std::vector<std::string>{"config.json", "vocab.json", "merges.txt"}),
        std::pair("marian", std::vector<std::string>{"config.json", "vocab.json", "target.spm"}),
        std::pair("t5", std::vector<std::string>{"config.json", "spiece.model"}),
        std::pair("bert", std::vector<std::string>{"config.json", "vocab.txt", "tokenizer_config.json"}),
        std::pair("bert_classes", std::vector<std::string>{"config.json"}),
        std::pair("roberta", std::vector<std::string>{"config.json", "vocab.json", "merges.txt"})}) {
    const fs::path good = fs::path(MEGIN_TEST_FILES) / kind, copy = folder_ / kind;
    fs::copy(good, copy);
    for (const std::string& name : names) {
      const auto read = [&](const fs::path&) { read_plan(copy); };
      EXPECT_GT(try_damages(good / name, copy / name, 250, read), 50) << name;
    }
  }
}

}  // namespace
}  // namespace megin::exchange
