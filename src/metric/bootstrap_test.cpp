#include "metric/bootstrap.h"

#include <gtest/gtest.h>

#include <cmath>
#include <memory>
#include <set>

#include "base/error.h"
#include "metric/reference_values.h"

namespace megin::metric {
namespace {

Corpus ter_corpus(const Metric& metric, const std::vector<std::string>& hypotheses) {
  const std::vector<std::string> references = {"a b", "c d"};
  Corpus corpus(metric, Corpus::Keep::kSegments);
  for (size_t i = 0; i < references.size(); ++i) corpus.add(hypotheses[i], {&references[i], 1});
  return corpus;
}

class Bootstrap : public testing::Test {
 protected:
  const std::unique_ptr<Metric> ter_ = make_metric("ter");
  // One edit in the first segment, none in the second: TER 25, against 0.
  const Corpus baseline_ = ter_corpus(*ter_, {"a x", "c d"});
  const Corpus system_ = ter_corpus(*ter_, {"a b", "c d"});
};

// All four resamples of two segments: the baseline scores 50, 25, 25, 0 and the system 0; differences minus
// their mean are 25, 0, 0, -25, of which none is above the real difference of 25.
TEST_F(Bootstrap, AllFourResamplesOfTwoSegments) {
  const PairedTest test = paired_bootstrap(
      baseline_, system_, {.samples = 4, .seed = 7},
      [](size_t sample, size_t position) { return position == 0 ? sample / 2 : sample % 2; });
  EXPECT_EQ(test.p_value, 1.0 / 5);
  EXPECT_EQ(test.baseline.score.value, 25);
  EXPECT_EQ(test.baseline.mean, 25);
  EXPECT_EQ(test.baseline.half_width, 25);
  EXPECT_EQ(test.system.mean, 0);
  EXPECT_EQ(test.system.half_width, 0);
  EXPECT_EQ(test.system.score.signature,
            "nrefs:1|bs:4|seed:7|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0");
}

// The first resample has the first segment twice, the others the second: differences 50, 0, 0, 0 with
// mean 12.5, so that one is above 25.
TEST_F(Bootstrap, OneResampleBeyondTheRealDifference) {
  const PairedTest test = paired_bootstrap(baseline_, system_, {.samples = 4},
                                           [](size_t sample, size_t) { return sample == 0 ? 0 : 1; });
  EXPECT_EQ(test.p_value, 2.0 / 5);
}

TEST_F(Bootstrap, ASystemAgainstItself) {
  const PairedTest test = paired_bootstrap(baseline_, baseline_, {.samples = 9});
  EXPECT_EQ(test.p_value, 1.0 / 10);  // sacreBLEU's convention: "above", not "at least"
}

TEST_F(Bootstrap, WrongCalls) {
  EXPECT_THROW(paired_bootstrap(baseline_, system_, {.samples = 0}), UsageError);
  const auto bleu = make_metric("bleu");
  EXPECT_THROW(paired_bootstrap(baseline_, Corpus(*bleu), {}), UsageError);
  EXPECT_THROW(paired_bootstrap(baseline_, Corpus(*ter_), {}), UsageError);
}

TEST(HashedDraw, DependsOnSeedSampleAndPositionOnly) {
  const Draw draw = hashed_draw(1, 1000);
  EXPECT_EQ(draw(3, 4), hashed_draw(1, 1000)(3, 4));
  std::set<size_t> different;
  for (const size_t value : {draw(0, 0), draw(0, 1), draw(1, 0), hashed_draw(2, 1000)(0, 0)})
    different.insert(value);
  EXPECT_EQ(different.size(), 4u);
}

// Both systems of the set of own text against the first references, with what sacreBLEU found.
struct Comparison {
  Comparison(const nlohmann::json& expected, size_t segments)
      : metric(make_metric(expected.at("metric").get<std::string>())),
        baseline(*metric, Corpus::Keep::kSegments),
        system(*metric, Corpus::Keep::kSegments) {
    const auto file = read_test_json("segments.json");
    const auto& all = file.at("segments");
    for (size_t i = 0; i < std::min(segments, all.size()); ++i) {
      const auto references = all[i].at("references").get<std::vector<std::string>>();
      baseline.add(all[i].at("hypothesis").get<std::string>(), {references.data(), 1});
      system.add(all[i].at("other").get<std::string>(), {references.data(), 1});
    }
  }

  std::unique_ptr<Metric> metric;
  Corpus baseline, system;
};

void expect_near(const Resampled& found, const nlohmann::json& expected, double tolerance) {
  EXPECT_NEAR(found.score.value, expected[0].get<double>(), 1e-9);
  EXPECT_NEAR(found.mean, expected[1].get<double>(), tolerance);
  EXPECT_NEAR(found.half_width, expected[2].get<double>(), tolerance);
}

// With NumPy's draws, stored, the same p-value; means to the 32-bit floats in which sacreBLEU resamples.
TEST(PairedBootstrap, EqualsSacrebleuWithItsDraws) {
  const auto file = read_test_json("paired_expected.json");
  const auto& few = file.at("few");
  const auto draws = few.at("draws").get<std::vector<std::vector<size_t>>>();
  for (const auto& expected : few.at("tests")) {
    const Comparison comparison(expected, draws.front().size());
    const PairedTest test =
        paired_bootstrap(comparison.baseline, comparison.system, {.samples = draws.size()},
                         [&](size_t sample, size_t position) { return draws[sample][position]; });
    EXPECT_EQ(test.p_value, expected.at("p_value").get<double>()) << expected;
    EXPECT_EQ(test.system.score.signature, expected.at("signature").get<std::string>());
    expect_near(test.baseline, expected.at("baseline"), 1e-3);
    expect_near(test.system, expected.at("system"), 1e-3);
  }
}

// With its own draws within four standard deviations of the difference of two such p-values; half-widths,
// which are noisier, within a fifth.
TEST(PairedBootstrap, AgreesWithSacrebleuWithinTheSamplingError) {
  const auto file = read_test_json("paired_expected.json");
  for (const auto& expected : file.at("all").at("tests")) {
    const Comparison comparison(expected, std::numeric_limits<size_t>::max());
    const PairedTest test = paired_bootstrap(comparison.baseline, comparison.system, {});
    const double p = expected.at("p_value").get<double>();
    EXPECT_NEAR(test.p_value, p, 4 * std::sqrt(2 * p * (1 - p) / 1000)) << expected;
    const double half_width = expected.at("system")[2].get<double>();
    EXPECT_NEAR(test.system.half_width, half_width, half_width / 5);
    // The standard deviation is about half of the half-width.
    EXPECT_NEAR(test.system.mean, expected.at("system")[1].get<double>(),
                4 * half_width / 2 * std::sqrt(2.0 / 1000));
  }
}

}  // namespace
}  // namespace megin::metric
