// Equality with sacreBLEU: scores, signatures and everything else on its output line, as
// scripts/make_metric_references.py stored them. The set of own text is in the repository; the real corpora
// are read from the folder that the environment variable MEGIN_DATA names.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "metric/corpus.h"
#include "metric/reference_values.h"

namespace megin::metric {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using Lines = std::vector<std::string>;

struct Segment {
  std::string hypothesis;
  Lines references;
};

std::unique_ptr<Metric> metric_of(const Json& entry) {
  MetricOptions options{.lowercase = entry.value("lowercase", false),
                        .tokenization = tokenization_named(entry.value("tokenize", "13a")),
                        .smoothing = smoothing_named(entry.value("smooth", "exp")),
                        .effective_order = entry.value("effective_order", false)};
  if (entry.contains("smooth_value")) options.smoothing_value = entry.at("smooth_value").get<double>();
  return make_metric(entry.at("metric").get<std::string>(), options);
}

void expect_equal(const std::vector<Segment>& segments, const Json& expected) {
  ASSERT_FALSE(expected.empty());
  for (const Json& entry : expected) {
    const auto metric = metric_of(entry);
    Corpus corpus(*metric, Corpus::Keep::kSegments);
    for (const Segment& segment : segments) corpus.add(segment.hypothesis, segment.references);
    EXPECT_EQ(format_score(corpus.score(), 4), entry.at("line").get<std::string>());
    EXPECT_NEAR(corpus.score().value, entry.at("score").get<double>(), 1e-10);
    if (!entry.contains("sentences")) continue;
    const auto sentences = entry.at("sentences").get<std::vector<double>>();
    ASSERT_EQ(sentences.size(), segments.size());
    for (size_t i = 0; i < sentences.size(); ++i) {
      EXPECT_NEAR(metric->value(corpus.segment(i)), sentences[i], 1e-6)
          << entry.at("line") << " segment " << i;
    }
  }
}

// The set of own text with the references that `choose` makes out of a segment's.
std::vector<Segment> own_segments(const std::function<Lines(const Lines&)>& choose) {
  std::vector<Segment> segments;
  const Json file = read_test_json("segments.json");
  for (const Json& segment : file.at("segments")) {
    segments.push_back(
        {segment.at("hypothesis").get<std::string>(), choose(segment.at("references").get<Lines>())});
  }
  return segments;
}

TEST(Sacrebleu, OwnTextWithOneReference) {
  expect_equal(own_segments([](const Lines& all) { return Lines{all[0]}; }),
               read_test_json("segments_expected.json").at("first reference"));
}

TEST(Sacrebleu, OwnTextWithOneToThreeReferencesAndEachSentence) {
  expect_equal(own_segments([](const Lines& all) { return all; }),
               read_test_json("segments_expected.json").at("all references"));
}

TEST(Sacrebleu, TheSameReferenceTwice) {
  expect_equal(own_segments([](const Lines& all) {
                 return Lines{all[0], all[0]};
               }),
               read_test_json("segments_expected.json").at("first reference twice"));
}

TEST(Sacrebleu, TheStoredValuesAreOfTheVersionInTheSignature) {
  for (const char* name : {"segments_expected.json", "paired_expected.json", "corpora_expected.json"}) {
    EXPECT_EQ(read_test_json(name).at("sacrebleu").get<std::string>(), kSacrebleuVersion) << name;
  }
}

// ---------------------------------------------------------------- real corpora

// Lines of a file, gzipped or not.
void append_lines(const fs::path& path, Lines& lines) {
  const std::unique_ptr<gzFile_s, decltype(&gzclose)> file(gzopen(path.c_str(), "rb"), &gzclose);
  ASSERT_TRUE(file) << "cannot open " << path;
  std::string line;
  std::vector<char> buffer(1 << 16);
  while (gzgets(file.get(), buffer.data(), static_cast<int>(buffer.size())) != nullptr) {
    line += buffer.data();
    if (!line.ends_with('\n')) continue;
    line.pop_back();
    lines.push_back(std::move(line));
    line.clear();
  }
}

Lines words_of(const std::string& line) {
  Lines words(1);
  for (const char c : line) {
    if (c == ' ') {
      words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  return words;
}

std::string joined(const Lines& words) {
  std::string line;
  for (size_t j = 0; j < words.size(); ++j) line += (j > 0 ? " " : "") + words[j];
  return line;
}

std::string upper(std::string word) {
  for (char& c : word) {
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  }
  return word;
}

// The words of the script's hypothesis_of.
Lines edited(size_t kind, const Lines& words, const Lines& other) {
  if (kind == 7) return other;
  Lines result;
  for (size_t j = 0; j < words.size(); ++j) {
    if (kind == 1 && j % 5 == 3) continue;
    result.push_back(words[j]);
    if (kind == 3 && j % 6 == 2) result.push_back(words[j]);
    if (kind == 5 && j % 2 == 0) result.back() = upper(words[j]);
    if (kind == 6 && j % 3 == 1) result.back() = other[j % other.size()];
  }
  if (kind == 2) {
    for (size_t j = 0; j + 1 < result.size(); j += 4) std::swap(result[j], result[j + 1]);
  }
  if (kind == 4) {
    std::rotate(result.begin(), result.end() - static_cast<std::ptrdiff_t>(result.size() / 3), result.end());
  }
  return result;
}

// The script's second_reference_of.
std::string second_reference(const std::string& line) {
  Lines result;
  const Lines words = words_of(line);
  for (size_t j = 0; j < words.size(); ++j) {
    if (j % 7 != 5) result.push_back(words[j]);
  }
  std::rotate(result.begin(), result.begin() + static_cast<std::ptrdiff_t>(result.size() / 2), result.end());
  return joined(result);
}

std::vector<Segment> segments_of(const Lines& lines, bool two_references) {
  std::vector<Segment> segments;
  for (size_t i = 0; i < lines.size(); ++i) {
    const Lines words = edited(i % 8, words_of(lines[i]), words_of(lines[(i + 1) % lines.size()]));
    segments.push_back({joined(words), {lines[i]}});
    if (two_references) segments.back().references.push_back(second_reference(lines[i]));
  }
  return segments;
}

class RealCorpora : public testing::Test {
 protected:
  void SetUp() override {
    const char* folder = std::getenv("MEGIN_DATA");
    if (folder == nullptr) {
      GTEST_SKIP() << "MEGIN_DATA is not set: equality with sacreBLEU on real corpora was NOT tested. Set it "
                      "to a folder "
                      "with multi30k/ and multilingual/ (docs/scoring.md).";
    }
    data_ = folder;
    expected_ = read_test_json("corpora_expected.json").at("corpora");
  }

  Lines lines_of(const Json& corpus) const {
    Lines lines;
    for (const Json& file : corpus.at("files")) append_lines(data_ / file.get<std::string>(), lines);
    EXPECT_EQ(lines.size(), corpus.at("lines").get<size_t>()) << corpus.at("name");
    return lines;
  }

  fs::path data_;
  Json expected_;
};

TEST_F(RealCorpora, EqualSacrebleu) {
  size_t corpora = 0;
  for (const Json& corpus : expected_) {
    const Lines lines = lines_of(corpus);
    ASSERT_GE(lines.size(), 2000u);
    expect_equal(segments_of(lines, false), corpus.at("one reference"));
    ++corpora;
  }
  EXPECT_GE(corpora, 3u);
}

TEST_F(RealCorpora, EqualSacrebleuWithTwoReferences) {
  for (const Json& corpus : expected_) {
    if (corpus.contains("two references")) {
      expect_equal(segments_of(lines_of(corpus), true), corpus.at("two references"));
    }
  }
}

// "BLEU = 41.02, 71.0/47.5/34.3/24.5 (BP=0.999, ratio=0.999, hyp_len=12093, ref_len=12103)"
std::string as_multi_bleu(const Score& score) {
  std::string line = fmt::format("BLEU = {:.2f}, {}", score.value, score.verbose);
  for (const auto& [from, to] : {std::pair<std::string, std::string>{" = ", "="},
                                 {" ratio", ", ratio"},
                                 {" hyp", ", hyp"},
                                 {" ref", ", ref"}}) {
    for (size_t at = line.find(from, 7); at != std::string::npos; at = line.find(from, at + to.size())) {
      line.replace(at, from.size(), to);
    }
  }
  return line;
}

TEST_F(RealCorpora, EqualMultiBleuWithoutTokenizerAndSmoothing) {
  const auto metric =
      make_metric("bleu", {.tokenization = Tokenization::kNone, .smoothing = Smoothing::kNone});
  size_t compared = 0;
  for (const Json& entry : expected_) {
    if (!entry.contains("multi-bleu.perl")) continue;
    Corpus corpus(*metric);
    for (const Segment& segment : segments_of(lines_of(entry), false))
      corpus.add(segment.hypothesis, segment.references);
    EXPECT_EQ(as_multi_bleu(corpus.score()), entry.at("multi-bleu.perl").get<std::string>())
        << entry.at("name");
    ++compared;
  }
  EXPECT_GE(compared, 3u);
}

}  // namespace
}  // namespace megin::metric
