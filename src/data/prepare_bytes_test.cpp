#include "data/prepare_bytes.h"

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "data/block_stream.h"
#include "data/prepared_data.h"
#include "data/test_support.h"
#include "text/byte_vocabulary.h"
#include "text/vocabulary.h"

namespace megin::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
namespace fs = std::filesystem;

class PrepareBytesTest : public PrepareTest {
 protected:
  config::CorpusConfig text(const std::string& name, const std::string& bytes) const {
    config::CorpusConfig corpus;
    corpus.paths = {put(name, bytes)};
    return corpus;
  }

  config::DataConfig bytes_config(const std::vector<config::CorpusConfig>& corpora,
                                  config::Newlines newlines = config::Newlines::kKeep) const {
    config::DataConfig config;
    config.task = config::Task::kBytes;
    config.output = (folder_ / "out").string();
    config.corpora = corpora;
    config.bytes.newlines = newlines;
    return config;
  }

  PreparedData opened() const { return open_prepared(folder_ / "out"); }
};

std::vector<int32_t> ids_of(const ExampleSet& set) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < set.size(); ++i) {
    const Example example = set.example(i);
    EXPECT_TRUE(example.source.empty());
    ids.insert(ids.end(), example.target.begin(), example.target.end());
  }
  return ids;
}

std::string bytes_of(const PreparedData& data, const ExampleSet& set) {
  return data.target_subword->decode(ids_of(set));
}

// Ten bytes in two files; the second begins with a letter of two bytes and two line ends.
TEST_F(PrepareBytesTest, CutsAreRawBytesWhereverTheyFall) {
  config::DataConfig config = bytes_config({text("one", "ab\ncd"), text("two", "\xC3\xA4\n\ne")});
  config.bytes.valid_bytes = 3;
  config.bytes.test_bytes = 1;
  run(config);
  EXPECT_EQ(bytes_of(opened(), opened().train), "ab\ncd\xC3");
  EXPECT_EQ(bytes_of(opened(), opened().valid), "\xA4\n\n");
  EXPECT_EQ(bytes_of(opened(), opened().test), "e");
  EXPECT_EQ(read_file(folder_ / "out" / "valid.tgt"), "\xA4\n\n");
  EXPECT_EQ(opened().train.size(), 2) << "a piece of each corpus";
  EXPECT_EQ(opened().train.example(1).corpus, 1);
  EXPECT_EQ(opened().task, config::Task::kBytes);
  EXPECT_EQ(opened().target_vocabulary, 4 + 8);

  config.bytes.newlines = config::Newlines::kDrop;
  const PrepareReport report = run(config, Existing::kReplace);
  EXPECT_EQ(bytes_of(opened(), opened().train), "abcd\xC3");
  EXPECT_EQ(bytes_of(opened(), opened().valid), "\xA4");
  EXPECT_EQ(read_file(folder_ / "out" / "valid.tgt"), "\xA4\n\n") << "the text as it was";
  EXPECT_EQ(opened().target_vocabulary, 4 + 7);
  EXPECT_EQ(report.splits[0].bytes, 6u);
  EXPECT_EQ(report.splits[0].target.tokens, 5u);
  EXPECT_EQ(report.splits[1].bytes, 3u);
  EXPECT_THAT(report.corpora[1].split, ElementsAre(1u, 3u, 1u));
  EXPECT_THAT(read_file(folder_ / "out" / "report.md"),
              HasSubstr("| valid |     3 |                2 |       1 |"));
  verify_prepared(folder_ / "out");
}

TEST_F(PrepareBytesTest, NothingElseIsTakenAwayOrNormalised) {
  std::string all = "\xEF\xBB\xBF  a\r\n\n \t";
  for (int value = 0; value < 256; ++value) all += static_cast<char>(value);
  all += "e\u0301\u2026";  // no newline at the end
  config::DataConfig config = bytes_config({text("train", all)});
  config.split.valid = {text("valid", "\r\n\xFF")};
  run(config);
  EXPECT_EQ(bytes_of(opened(), opened().train), all);
  EXPECT_EQ(bytes_of(opened(), opened().valid), "\r\n\xFF");
  EXPECT_EQ(opened().target_vocabulary, 260);
  EXPECT_EQ(opened().test.size(), 0);
}

// smoe_dropout spec 5.1: by count over all sets; d, e and q are equal, and e stands before d in train.
TEST_F(PrepareBytesTest, TheVocabularyIsOfAllSets) {
  config::DataConfig config = bytes_config({text("train", "aae\nd")}, config::Newlines::kDrop);
  config.split.valid = {text("valid", "q\nccc")};
  config.split.test = {text("test", "c")};
  run(config);
  EXPECT_EQ(opened().target_subword->byte_vocabulary()->values,
            (std::vector<uint8_t>{'c', 'a', 'e', 'd', 'q'}));
  EXPECT_THAT(ids_of(opened().train), ElementsAre(5, 5, 6, 7));
  EXPECT_THAT(ids_of(opened().valid), ElementsAre(8, 4, 4, 4));
}

TEST_F(PrepareBytesTest, ALongTextIsPiecesOfOneSequence) {
  std::string long_text;
  for (uint64_t i = 0; long_text.size() < 2 * kPieceSymbols + 1000; ++i)
    long_text += sentence_pair(i).second + "\n";
  config::DataConfig config = bytes_config({text("train", long_text), text("more", "x")});
  config.split.valid = {text("valid", "a")};
  run(config);
  const PreparedData data = opened();
  ASSERT_EQ(data.train.size(), 4);
  EXPECT_EQ(data.train.example(0).target.size(), kPieceSymbols);
  EXPECT_EQ(data.train.example(1).target.size(), kPieceSymbols);
  EXPECT_EQ(bytes_of(data, data.train), long_text + "x");
  const BlockStream blocks(data.train, {.block_tokens = 512, .end_marks = false});
  EXPECT_EQ(blocks.tokens(), static_cast<int64_t>(long_text.size() + 1));
}

TEST_F(PrepareBytesTest, AVocabularyIsTakenOver) {
  config::DataConfig config = bytes_config({text("train", "abb")});
  config.split.valid = {text("valid", "b")};
  run(config);
  const std::string vocabulary = (folder_ / "vocabulary").string();
  fs::copy(folder_ / "out" / "subword.model", vocabulary);
  config.subword.model = vocabulary;
  config.corpora = {text("other", "aac\n")};
  const PrepareReport report = run(config, Existing::kReplace);
  EXPECT_THAT(ids_of(opened().train), ElementsAre(5, 5, text::kUnknownId, text::kUnknownId));
  EXPECT_EQ(report.splits[0].target.unknowns, 2u);
  config.bytes.newlines = config::Newlines::kDrop;
  EXPECT_THAT(error_of(config, Existing::kReplace),
              HasSubstr("newlines: keep, and data.bytes.newlines is drop"));

  config.task = config::Task::kLanguageModel;
  config.bytes = {};
  EXPECT_THAT(error_of(config, Existing::kReplace), HasSubstr("wanted a SentencePiece model"));
}

TEST_F(PrepareBytesTest, CutsWantALongerCorpus) {
  config::DataConfig config = bytes_config({text("train", "abcd")});
  config.bytes.valid_bytes = 3;
  run(config);
  config.bytes.test_bytes = 1;
  EXPECT_THAT(error_of(config, Existing::kReplace), HasSubstr("more than the 4 bytes that are cut"));
  config.bytes.valid_bytes = 1;
  config.bytes.newlines = config::Newlines::kDrop;
  config.corpora = {text("train", "\n\nab")};
  EXPECT_THAT(error_of(config, Existing::kReplace), HasSubstr("no byte is left to train on"));
}

// Sizes by DATA.md, less the newlines that `wc -l` counts.
TEST_F(PrepareBytesTest, RealTextHasAsManySymbolsAsBytes) {
  const char* const folder = std::getenv("MEGIN_DATA");
  if (folder == nullptr || !fs::exists(fs::path(folder) / "lm-mixed")) {
    GTEST_SKIP() << "MEGIN_DATA is not set to a folder with lm-mixed/: real text was NOT prepared as bytes";
  }
  const auto given = [&](const char* name) {
    config::CorpusConfig corpus;
    corpus.paths = {(fs::path(folder) / "lm-mixed" / name).string()};
    return corpus;
  };
  config::DataConfig config = bytes_config({given("train.txt")});
  config.split.valid = {given("valid.txt")};
  config.split.test = {given("test.txt")};
  const PrepareReport kept = run(config);
  EXPECT_EQ(kept.splits[0].target.tokens, 11776018u);
  EXPECT_EQ(kept.splits[1].target.tokens, 663378u);
  EXPECT_EQ(kept.splits[2].target.tokens, 696336u);
  config.bytes.newlines = config::Newlines::kDrop;
  const PrepareReport dropped = run(config, Existing::kReplace);
  EXPECT_EQ(dropped.splits[0].target.tokens, 11776018u - 129275);
  EXPECT_EQ(dropped.splits[1].target.tokens, 663378u - 8688);
  EXPECT_EQ(dropped.splits[2].target.tokens, 696336u - 11016);
  EXPECT_EQ(dropped.target_vocabulary + 1, kept.target_vocabulary);
  EXPECT_EQ(opened().target_subword->encode(" ").at(0), 4) << "the most frequent byte";
}

// smoe_dropout spec 5.1: ids by descending count, after the special ones. The log of another program has
// these.
TEST_F(PrepareBytesTest, Enwik8HasItsPublishedSymbols) {
  const char* const file = std::getenv("ENWIK8");
  if (file == nullptr || !fs::exists(file)) {
    GTEST_SKIP() << "ENWIK8 is not set to the raw file: the published vocabulary of enwik8 was NOT checked";
  }
  config::CorpusConfig corpus;
  corpus.paths = {file};
  config::DataConfig config = bytes_config({corpus});
  config.bytes = {.newlines = config::Newlines::kDrop, .valid_bytes = 5000000, .test_bytes = 5000000};
  EXPECT_EQ(run(config).target_vocabulary, 4u + 204);
  const std::vector<int32_t> published = {32,  101, 116, 97, 105, 111, 110, 114, 115,
                                          108, 104, 100, 99, 117, 93,  91,  109, 112};
  const auto subword = opened().target_subword;
  for (size_t id = 0; id < published.size(); ++id) {
    const std::string byte(1, static_cast<char>(published[id]));
    EXPECT_EQ(subword->encode(byte).at(0), static_cast<int32_t>(4 + id)) << published[id];
  }
}

}  // namespace
}  // namespace megin::data
