#include "text/duplicates.h"

#include <set>

#include "base/random.h"
#include "text/test_support.h"

namespace megin::text {
namespace {

DuplicateOptions options(size_t memory_bytes = 1 << 20, DuplicateRule rule = DuplicateRule::kPair) {
  return {.rule = rule, .temporary_directory = testing::TempDir(), .memory_bytes = memory_bytes};
}

std::vector<uint64_t> dropped(const DuplicateSet& set) {
  std::vector<uint64_t> indices;
  for (uint64_t i = 0; i < set.size(); ++i)
    if (set.contains(i)) indices.push_back(i);
  EXPECT_EQ(indices.size(), set.count());
  return indices;
}

std::vector<uint64_t> duplicates_of(const std::vector<Pair>& pairs, const DuplicateOptions& chosen) {
  DuplicateFinder finder(chosen);
  for (const Pair& pair : pairs) finder.add(pair);
  return dropped(finder.finish());
}

const std::vector<Pair> kPairs = {{"a", "x", "", 0}, {"b", "x", "", 0}, {"a", "x", "", 0},
                                  {"a", "y", "", 0}, {"ax", "", "", 0}, {"a", "x", "", 0}};

TEST(Duplicates, KeepsTheFirstOfEqualPairs) {
  EXPECT_EQ(duplicates_of(kPairs, options()), (std::vector<uint64_t>{2, 5}));
}

TEST(Duplicates, KeepsOneTranslationASourceIfAsked) {
  EXPECT_EQ(duplicates_of(kPairs, options(1 << 20, DuplicateRule::kSource)),
            (std::vector<uint64_t>{2, 3, 5}));
}

TEST(Duplicates, AcceptsNothing) {
  EXPECT_EQ(duplicates_of({}, options()), std::vector<uint64_t>{});
}

TEST(Duplicates, StartsAfreshAfterFinish) {
  DuplicateFinder finder(options());
  finder.add(kPairs[0]);
  EXPECT_EQ(finder.finish().size(), 1u);
  finder.add(kPairs[0]);
  EXPECT_EQ(dropped(finder.finish()), std::vector<uint64_t>{});
}

// 300,000 pairs, about half of them repeated; with the least memory each part needs many passes.
TEST(Duplicates, GiveTheSameWithAnyMemoryAndAsASet) {
  const uint64_t key = draw_key(7, Purpose::kSampling);
  DuplicateFinder roomy(options(1 << 20));
  DuplicateFinder cramped(options(0));
  std::set<std::string> seen;
  std::vector<uint64_t> expected;
  for (uint64_t i = 0; i < 300000; ++i) {
    const Pair pair = {fmt::format("s{}", draw_index(key, i, 250000)), "t", "", 0};
    if (!seen.insert(pair.source).second) expected.push_back(i);
    roomy.add(pair);
    cramped.add(pair);
  }
  EXPECT_EQ(dropped(roomy.finish()), expected);
  EXPECT_EQ(dropped(cramped.finish()), expected);
}

TEST(Duplicates, TakesAMillionEqualPairsInNoMemory) {
  DuplicateFinder finder(options(0));
  for (int i = 0; i < 1000000; ++i) finder.add(kPairs[0]);
  EXPECT_EQ(finder.finish().count(), 999999u);
}

TEST(Duplicates, LeavesNothingInItsDirectory) {
  const auto folder = write_test_file("marker", "").parent_path();
  DuplicateOptions chosen = options();
  chosen.temporary_directory = folder;
  DuplicateFinder finder(chosen);
  finder.add(kPairs[0]);
  const DuplicateSet set = finder.finish();
  size_t files = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder)) ++files;
  EXPECT_EQ(files, 1u);  // the marker
}

TEST(Duplicates, NamesADirectoryThatCannotBeWritten) {
  DuplicateOptions chosen = options();
  chosen.temporary_directory = "/nowhere";
  EXPECT_TRUE(contains(error_of([&] { DuplicateFinder finder(chosen); }),
                       "temporary file in /nowhere: No such file"));
}

}  // namespace
}  // namespace megin::text
