// Memory does not grow with a corpus: the same work on ten times the pairs stays within a fixed margin.
#include <malloc.h>

#include <fstream>
#include <functional>

#include "base/random.h"
#include "text/cleaning.h"
#include "text/duplicates.h"
#include "text/split.h"
#include "text/test_support.h"

namespace megin::text {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // their own bookkeeping grows
#else
constexpr bool kSanitized = false;
#endif

// The most memory the process held since the last reset, in KiB (Linux: proc(5), VmHWM and clear_refs).
uint64_t peak_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string word; status >> word;)
    if (word == "VmHWM:") {
      uint64_t kib = 0;
      status >> kib;
      return kib;
    }
  return 0;
}

void reset_peak() {
  std::ofstream("/proc/self/clear_refs") << "5";
}

// The whole first pass of preparing a corpus.
uint64_t prepare(const CorpusSpec& spec) {
  const auto reader = open_corpus(spec);
  Cleaner cleaner;
  DuplicateFinder finder({.rule = DuplicateRule::kPair,
                          .temporary_directory = testing::TempDir(),
                          .memory_bytes = size_t{64} << 10});
  SplitPlanner planner({.seed = 1, .valid = {.count = 1000}, .test = {.count = 1000}});
  for (Pair pair; reader->next(pair);) {
    if (cleaner.check(pair) != Verdict::kKeep) continue;
    finder.add(pair);
    planner.add(pair.source);
  }
  return finder.finish().count();
}

// Reading and cleaning alone. (The finder's write buffers are full only from 262,144 pairs on.)
uint64_t read_all(const CorpusSpec& spec) {
  const auto reader = open_corpus(spec);
  Cleaner cleaner;
  for (Pair pair; reader->next(pair);) cleaner.check(pair);
  return cleaner.counts()[Verdict::kKeep];
}

using Work = uint64_t (*)(const CorpusSpec&);
using Write = std::function<std::filesystem::path(uint64_t pairs)>;

void expect_flat_memory(Work work, const Write& write, uint64_t pairs) {
  if (kSanitized) GTEST_SKIP() << "needs a build without sanitizers";
  CorpusSpec spec;
  spec.source_language = std::string("en");
  spec.target_language = std::string("de");
  uint64_t peaks[2];
  for (const uint64_t times : {1, 10}) {
    spec.paths = {write(times * pairs)};
    reset_peak();
    EXPECT_GT(work(spec), pairs / 20);
    peaks[times / 10] = peak_kib();
    std::filesystem::remove(spec.paths[0]);
  }
  testing::Test::RecordProperty("peak_kib_of_N", static_cast<int>(peaks[0]));
  testing::Test::RecordProperty("peak_kib_of_10N", static_cast<int>(peaks[1]));
  std::printf("peak memory: %lu pairs %lu KiB, %lu pairs %lu KiB\n", pairs, peaks[0], 10 * pairs, peaks[1]);
  constexpr uint64_t kMarginKib = 2048;
  EXPECT_LT(peaks[1], peaks[0] + kMarginKib);
}

// Writes a file of many pairs without holding them.
std::filesystem::path write_pairs(const std::string& name, uint64_t pairs,
                                  const std::function<void(std::ostream&, const std::string&)>& write_one) {
  const auto path = write_test_file(name, "");
  std::ofstream out(path);
  const uint64_t key = draw_key(1, Purpose::kSampling);
  for (uint64_t i = 0; i < pairs; ++i) write_one(out, std::to_string(draw_index(key, i, 4 * pairs)));
  return path;
}

TEST(Memory, DoesNotGrowWithATsvCorpus) {
  expect_flat_memory(
      prepare,
      [](uint64_t pairs) {
        return write_pairs("corpus.tsv", pairs, [](std::ostream& out, const std::string& number) {
          out << "Sentence " << number << "\tSatz " << number << '\n';
        });
      },
      200000);
}

TEST(Memory, DoesNotGrowWithATranslationMemory) {
  expect_flat_memory(
      read_all,
      [](uint64_t pairs) {
        const auto path = write_pairs(
            "corpus.tmx", pairs, [first = true](std::ostream& out, const std::string& number) mutable {
              if (std::exchange(first, false)) out << "<tmx version=\"1.4\"><header/><body>\n";
              out << "<tu><tuv xml:lang=\"en\"><seg>Sentence " << number
                  << "</seg></tuv><tuv xml:lang=\"de\"><seg>Satz " << number << "</seg></tuv></tu>\n";
            });
        std::ofstream(path, std::ios::app) << "</body></tmx>\n";
        return path;
      },
      30000);
}

TEST(Memory, DoesNotGrowWithACatalogue) {
  expect_flat_memory(
      read_all,
      [](uint64_t pairs) {
        return write_pairs("corpus.po", pairs, [](std::ostream& out, const std::string& number) {
          out << "msgid \"Sentence " << number << "\"\nmsgstr \"Satz " << number << "\"\n\n";
        });
      },
      30000);
}

}  // namespace
}  // namespace megin::text
