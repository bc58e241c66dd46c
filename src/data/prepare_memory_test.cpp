// Memory does not grow with a corpus: all of `megin prepare` on ten times the pairs.
#include <malloc.h>

#include "data/test_support.h"

namespace megin::data {
namespace {

// The most memory the process held since the last reset, in KiB (Linux: proc(5), VmHWM and clear_refs).
uint64_t peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;) {
    if (word != "VmHWM:") continue;
    uint64_t kib = 0;
    status >> kib;
    return kib;
  }
  return 0;
}

// Lines of eight sentences, as two files.
config::CorpusConfig long_lines(const std::filesystem::path& folder, uint64_t lines) {
  config::CorpusConfig corpus;
  corpus.paths = {(folder / "long.en").string(), (folder / "long.de").string()};
  std::ofstream source(corpus.paths[0]), target(corpus.paths[1]);
  for (uint64_t line = 0; line < lines; ++line) {
    for (uint64_t i = 0; i < 8; ++i) {
      const auto [english, german] = sentence_pair(8 * line + i);
      source << english << (i == 7 ? '\n' : ' ');
      target << german << (i == 7 ? '\n' : ' ');
    }
  }
  return corpus;
}

TEST_F(PrepareTest, TenTimesThePairsTakeTheSameMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own memory grows";
#endif
  // SentencePiece's training would hide what the rest holds, so the measured runs take its model over.
  config::DataConfig some = config({long_lines(folder_, 2000)});
  some.subword.sample = 400;
  some.max_tokens = 1000;
  run(some);
  some.subword.model = (folder_ / "out" / "subword.model").string();

  // The first run fills the allocator's pools; it is not compared.
  std::vector<uint64_t> peaks;
  uint64_t text_kib = 0;
  for (const uint64_t times : {1, 1, 10}) {
    some.corpora = {long_lines(folder_, 2000 * times)};
    text_kib = 0;
    for (const std::string& path : some.corpora[0].paths) text_kib += std::filesystem::file_size(path) / 1024;
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";
    run(some, Existing::kReplace);
    peaks.push_back(peak_kib());
  }
  // Allowed: write buffers of the duplicates' fingerprints that are not full yet, and 16 bytes a pair in the
  // tables of a shard. The text is four times as much, its tokens more.
  EXPECT_GT(text_kib, 11000u);
  EXPECT_LT(peaks[2], peaks[1] + 3000) << "first run: " << peaks[0];
  RecordProperty("peak_kib",
                 std::to_string(peaks[0]) + " " + std::to_string(peaks[1]) + " " + std::to_string(peaks[2]));
}

TEST_F(PrepareTest, TenTimesTheBytesTakeTheSameMemory) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizer's own memory grows";
#endif
  std::vector<uint64_t> peaks;
  for (const uint64_t times : {1, 1, 10}) {
    config::DataConfig bytes = config({long_lines(folder_, 2000 * times)});
    bytes.corpora[0].paths.resize(1);
    bytes.task = config::Task::kBytes;
    bytes.split = {};
    bytes.subword = {};
    bytes.bytes.valid_bytes = bytes.bytes.test_bytes = 1000;
    malloc_trim(0);
    std::ofstream("/proc/self/clear_refs") << "5";
    run(bytes, Existing::kReplace);
    peaks.push_back(peak_kib());
  }
  EXPECT_GT(std::filesystem::file_size(folder_ / "long.en"), 5000u * 1024);
  EXPECT_LT(peaks[2], peaks[1] + 1000) << "first run: " << peaks[0];
}

}  // namespace
}  // namespace megin::data
