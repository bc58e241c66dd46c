// Scores worked out by hand. src/metric/sacrebleu_test.cpp compares with sacreBLEU itself.
#include "metric/metric.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <functional>
#include <vector>

#include "base/error.h"
#include "metric/chrf.h"
#include "metric/corpus.h"

namespace megin::metric {
namespace {

struct Example {
  std::string hypothesis;
  std::vector<std::string> references;
};

Score score_of(const std::string& name, const std::vector<Example>& examples,
               const MetricOptions& options = {}) {
  const auto metric = make_metric(name, options);
  Corpus corpus(*metric);
  for (const Example& example : examples) corpus.add(example.hypothesis, example.references);
  return corpus.score();
}

// Papineni et al.'s example: one unigram in 7 matches twice. The closest reference length is 7.
const Example kThe = {"the the the the the the the", {"the cat is on the mat", "there is a cat on the mat"}};

double geometric_mean(const std::array<double, 4>& percent) {
  return std::pow(percent[0] * percent[1] * percent[2] * percent[3], 0.25);
}

TEST(Bleu, SmoothingFillsOrdersWithoutMatches) {
  MetricOptions options{.tokenization = Tokenization::kNone};
  const double p1 = 100 * 2.0 / 7;
  EXPECT_NEAR(score_of("bleu", {kThe}, options).value,
              geometric_mean({p1, 100 / 12.0, 100 / 20.0, 100 / 32.0}), 1e-12);
  options.smoothing = Smoothing::kFloor;
  EXPECT_NEAR(score_of("bleu", {kThe}, options).value, geometric_mean({p1, 10 / 6.0, 10 / 5.0, 10 / 4.0}),
              1e-12);
  options.smoothing = Smoothing::kAddK;
  EXPECT_NEAR(score_of("bleu", {kThe}, options).value, geometric_mean({p1, 100 / 7.0, 100 / 6.0, 100 / 5.0}),
              1e-12);
  options.smoothing = Smoothing::kNone;
  EXPECT_EQ(score_of("bleu", {kThe}, options).value, 0);
}

TEST(Bleu, PrintsWhatSacrebleuPrints) {
  const Score score = score_of("BLEU", {kThe}, {.tokenization = Tokenization::kNone});
  EXPECT_EQ(format_score(score, 2),
            "BLEU|nrefs:2|case:mixed|eff:no|tok:none|smooth:exp|version:2.6.0 = 7.81 28.6/8.3/5.0/3.1 (BP = "
            "1.000 ratio "
            "= 1.000 hyp_len = 7 ref_len = 7)");
}

// 4 of 5 words, 3 of 4 bigrams, 2 of 3 trigrams, 1 of 2 4-grams; the reference has 10 words: exp(1 - 10 / 5).
TEST(Bleu, ShortTranslationsAreFined) {
  const Score score = score_of("bleu", {{"a b c d X", {"a b c d e f g h i j"}}});
  EXPECT_NEAR(score.value, std::exp(-1.0) * geometric_mean({80, 75, 200 / 3.0, 50}), 1e-12);
}

TEST(Bleu, EffectiveOrderLeavesOutWhatCannotBe) {
  EXPECT_NEAR(score_of("bleu", {{"a b", {"a b"}}}).value, 0, 1e-300);
  const Score score = score_of("bleu", {{"a b", {"a b"}}}, {.effective_order = true});
  EXPECT_NEAR(score.value, 100, 1e-12);
  EXPECT_NE(score.signature.find("eff:yes"), std::string::npos);
}

TEST(Bleu, CaseIsMixedUnlessAskedFor) {
  const Example example = {"The Cat Sat Here", {"the cat sat here"}};
  EXPECT_EQ(score_of("bleu", {example}).value, 0);
  EXPECT_NEAR(score_of("bleu", {example}, {.lowercase = true}).value, 100, 1e-12);
}

TEST(Bleu, SmoothingValues) {
  EXPECT_NE(score_of("bleu", {kThe}, {.smoothing = Smoothing::kAddK, .smoothing_value = 0.5})
                .signature.find("add-k[0.50]"),
            std::string::npos);
  EXPECT_THROW(make_metric("bleu", {.smoothing_value = 0.5}), UsageError);
  EXPECT_THROW(make_metric("bleu", {.smoothing = Smoothing::kFloor, .smoothing_value = -1}), UsageError);
}

// Characters: precision 1 and recall 2/3, then 1 and 1/2; the hypothesis has no trigram. Means 1 and 7/12.
TEST(Chrf, IsTheMeanOverOrdersThatBothSidesHave) {
  const Score score = score_of("chrf", {{"a b", {"abc"}}});
  EXPECT_NEAR(score.value, 100 * 5 * (7 / 12.0) / (4 + 7 / 12.0), 1e-12);
  EXPECT_EQ(score.signature, "nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:2.6.0");
  EXPECT_EQ(score.name, "chrF2");
}

// Characters as above but for the full stop: 3 of 3 and of 4, 1 of 2 and of 3, 0 of 1 and of 2. Words "ab"
// "." against "abc" ".": 1 of 2 either way, and 0 of 1 pairs. Means over the five orders: precision (1 + 1/2
// + 0 + 1/2 + 0) / 5, recall (3/4 + 1/3 + 0 + 1/2 + 0) / 5.
TEST(Chrf, PlusPlusTakesPunctuationOffWords) {
  const Score score = score_of("chrf++", {{"ab.", {"abc."}}});
  const double precision = 2.0 / 5, recall = (0.75 + 1 / 3.0 + 0.5) / 5;
  EXPECT_NEAR(score.value, 100 * 5 * precision * recall / (4 * precision + recall), 1e-12);
  EXPECT_EQ(score.name, "chrF2++");
}

TEST(Chrf, TakesTheBestReference) {
  EXPECT_NEAR(score_of("chrf", {{"abcdefg", {"xyz", "abcdefg", "q"}}}).value, 100, 1e-12);
  EXPECT_EQ(score_of("chrf", {{"abc", {""}}}).value, 0);
  EXPECT_THROW(Chrf(5, false), UsageError);
}

// One shift against 7 words and two edits against 4: 3 / 11. Case does not count.
TEST(Ter, IsEditsPerReferenceWord) {
  const Score score = score_of("ter", {{"E f g a b c d", {"a b c d e f g"}}, {"a x c", {"a b c d"}}});
  EXPECT_NEAR(score.value, 100 * 3.0 / 11, 1e-12);
  EXPECT_EQ(score.signature, "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0");
}

// The fewest edits, the mean length (3 + 1 + 0) / 3.
TEST(Ter, SeveralReferences) {
  EXPECT_NEAR(score_of("ter", {{"a b", {"a b c", "x", ""}}}).value, 100 * 1 / (4 / 3.0), 1e-12);
  EXPECT_EQ(score_of("ter", {{"a", {""}}}).value, 100);
  EXPECT_EQ(score_of("ter", {{"", {""}}}).value, 0);
}

TEST(Corpus, CountsReferences) {
  EXPECT_EQ(score_of("ter", {{"a", {"a", "b"}}, {"a", {"a"}}}).signature.substr(0, 9), "nrefs:var");
  EXPECT_EQ(score_of("ter", {{"a", {"a", "b"}}}).signature.substr(0, 7), "nrefs:2");
}

std::string message_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Corpus, NamesTheSegmentOfInvalidText) {
  EXPECT_EQ(message_of([] {
              score_of("bleu", {{"a", {"a"}}, {"a\xFF", {"a"}}});
            }),
            "segment 2: the hypothesis is not valid UTF-8 at byte 2; convert it to UTF-8");
  EXPECT_NE(message_of([] { score_of("ter", {{"a", {"\xE4"}}}); }).find("the reference"), std::string::npos);
  EXPECT_THROW(score_of("bleu", {}), Error);
  EXPECT_THROW(score_of("bleu", {{"a", {}}}), UsageError);
  EXPECT_THROW(make_metric("meteor"), UsageError);
}

}  // namespace
}  // namespace megin::metric
