#include "text/cleaning.h"

#include "text/test_support.h"

namespace megin::text {
namespace {

Verdict verdict_of(std::string source, std::string target, const CleaningOptions& options = {}) {
  Cleaner cleaner(options);
  Pair pair = {std::move(source), std::move(target), "", 0};
  return cleaner.check(pair);
}

std::string words(size_t count) {
  std::string text = "w";
  for (size_t i = 1; i < count; ++i) text += " w";
  return text;
}

TEST(Cleaner, KeepsLabelsAndSentences) {
  EXPECT_EQ(verdict_of("OK", "Bestätigen"), Verdict::kKeep);
  EXPECT_EQ(verdict_of("Character Set Encoding", "Zeichensatz"), Verdict::kKeep);
  EXPECT_EQ(
      verdict_of("This is the whole text of a rather long sentence.", "これはかなり長い文章の全文です。"),
      Verdict::kKeep);
}

TEST(Cleaner, GivesEveryRuleItsVerdict) {
  EXPECT_EQ(verdict_of("gr\xFCn", "green"), Verdict::kInvalidUtf8);
  EXPECT_EQ(verdict_of("green", "gr\xFCn"), Verdict::kInvalidUtf8);
  EXPECT_EQ(verdict_of("", "leer"), Verdict::kEmptySide);
  EXPECT_EQ(verdict_of("empty", " \u00A0\t"), Verdict::kEmptySide);
  EXPECT_EQ(verdict_of("a b c", "d e", {.min_words = 3}), Verdict::kTooShort);
  EXPECT_EQ(verdict_of("abc", "ab", {.min_bytes = 3}), Verdict::kTooShort);
  EXPECT_EQ(verdict_of(words(250), words(251)), Verdict::kTooLong);
  EXPECT_EQ(verdict_of(words(250), words(249)), Verdict::kKeep);
  EXPECT_EQ(verdict_of("abc", "abcd", {.max_bytes = 3}), Verdict::kTooLong);
  EXPECT_EQ(verdict_of("Terminal", "Terminal"), Verdict::kIdentical);
  EXPECT_EQ(verdict_of("Terminal ", "Terminal"), Verdict::kIdentical);
  EXPECT_EQ(verdict_of("100%", "100 %"), Verdict::kNoLetters);
}

TEST(Cleaner, AllowsALengthRatioWithTenLettersOnTop) {
  // (40 + 10) / (10 + 10) = 2.5, and 51 / 20 above it.
  EXPECT_EQ(verdict_of(std::string(10, 'a'), std::string(40, 'b')), Verdict::kKeep);
  EXPECT_EQ(verdict_of(std::string(41, 'b'), std::string(10, 'a')), Verdict::kLengthRatio);
}

TEST(Cleaner, SwitchesRulesOff) {
  const CleaningOptions off = {.min_words = 0,
                               .max_words = 0,
                               .min_bytes = 0,
                               .max_bytes = 0,
                               .max_length_ratio = 0,
                               .drop_identical = false,
                               .drop_no_letters = false};
  EXPECT_EQ(verdict_of("1", words(9000), off), Verdict::kKeep);
  EXPECT_EQ(verdict_of("1", "1", off), Verdict::kKeep);
  EXPECT_EQ(verdict_of("", "1", off), Verdict::kEmptySide);
}

TEST(Cleaner, DropsSourcesOfTheTestSets) {
  Cleaner cleaner;
  cleaner.forbid_source("The Cat  sat.");
  Pair same = {"the cat sat.", "Die Katze saß.", "", 0};
  Pair other = {"the cat sat", "Die Katze saß", "", 0};
  EXPECT_EQ(cleaner.check(same), Verdict::kLeakage);
  EXPECT_EQ(cleaner.check(other), Verdict::kKeep);
}

TEST(Cleaner, LeavesEachSideOnOneLine) {
  Cleaner cleaner;
  Pair pair = {" one\u2028two ", "eins\tzwei\n", "", 0};
  cleaner.check(pair);
  EXPECT_EQ(pair.source, "one two");
  EXPECT_EQ(pair.target, "eins zwei");
}

TEST(Cleaner, CountsWhatItDid) {
  Cleaner cleaner;
  for (const char* source : {"a", "b", "", "x"}) {
    Pair pair = {source, "x", "", 0};
    cleaner.check(pair);
  }
  CleaningCounts counts = cleaner.counts();
  EXPECT_EQ(counts[Verdict::kKeep], 2u);
  EXPECT_EQ(counts[Verdict::kEmptySide], 1u);
  EXPECT_EQ(counts[Verdict::kIdentical], 1u);
  counts.move(Verdict::kKeep, Verdict::kDuplicate);
  counts.add(cleaner.counts());
  EXPECT_EQ(counts[Verdict::kKeep], 3u);
  EXPECT_EQ(counts[Verdict::kDuplicate], 1u);
  EXPECT_EQ(counts.total(), 8u);
  EXPECT_EQ(verdict_name(Verdict::kLengthRatio), "length_ratio");
  EXPECT_EQ(verdict_name(Verdict::kDuplicate), "duplicate");
}

}  // namespace
}  // namespace megin::text
