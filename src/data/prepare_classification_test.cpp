// Preparing sentences with labels, and opening what that wrote.
#include <gmock/gmock.h>

#include "data/class_labels.h"
#include "data/prepared_data.h"
#include "data/test_support.h"

namespace megin::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class PrepareClassificationTest : public PrepareTest {
 protected:
  // Sentences [begin, end) of the grammar, in a column behind the label: odd ones are "bad", even ones
  // "good".
  std::string lines(uint64_t begin, uint64_t end) const {
    std::string text;
    for (uint64_t i = begin; i < end; ++i)
      text += (i % 2 == 1 ? "bad\t" : "good\t") + sentence_pair(i).first + "\n";
    return text;
  }

  config::CorpusConfig labelled(const std::string& name, const std::string& text) const {
    config::CorpusConfig corpus = tsv(name, text);
    corpus.source_column = "2";
    corpus.target_column = "1";
    return corpus;
  }

  config::DataConfig some(const std::string& train) const {
    config::DataConfig some = config({labelled("train.tsv", train)});
    some.task = config::Task::kClassification;
    some.target_language = some.source_language;
    some.subword.vocabulary = 300;
    some.split.valid = {labelled("valid.tsv", "bad\tthe moon  .\ngood\tthe cat .\n")};
    some.split.test_pairs = 20;
    return some;
  }
};

TEST_F(PrepareClassificationTest, AnExampleIsAClassAndASentence) {
  // 12 has no letter, the dog and the cat stood before, and the last one is in the validation set.
  const config::DataConfig config =
      some(lines(0, 300) + "bad\t12\n" + lines(0, 1) + "good\tThe  cat .\n" + "good\t\n");
  const PrepareReport report = run(config);
  EXPECT_THAT(report.classes, ElementsAre("bad", "good"));
  EXPECT_EQ(report.corpora[0].counts[text::Verdict::kDuplicate], 1u);
  EXPECT_EQ(report.corpora[0].counts[text::Verdict::kLeakage], 1u);
  EXPECT_EQ(report.corpora[0].counts[text::Verdict::kEmptySide], 1u);
  EXPECT_EQ(report.splits[0].pairs + report.splits[2].pairs, 301u);
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_EQ(data.task, config::Task::kClassification);
  EXPECT_THAT(data.classes, ElementsAre("bad", "good"));
  EXPECT_TRUE(data.joint);
  ASSERT_EQ(data.train.size() + data.test.size(), 301);
  ASSERT_EQ(data.test.size(), 20);
  EXPECT_TRUE(data.valid_text.target.empty());
  uint64_t bad = 0;
  for (int64_t i = 0; i < data.train.size(); ++i) {
    const Example example = data.train.example(i);
    ASSERT_EQ(example.source.size(), 1u);
    const std::string text = data.target_subword->decode(example.target);
    bad += example.source[0] == 0 ? 1 : 0;
    if (text == sentence_pair(8).first) {
      EXPECT_EQ(example.source[0], 1);
    }
    if (text == sentence_pair(7).first || text == "12") {
      EXPECT_EQ(example.source[0], 0);
    }
  }
  EXPECT_EQ(report.splits[0].classes[0], bad);
  EXPECT_THAT(report.splits[1].classes, ElementsAre(1, 1));
  EXPECT_EQ(data.valid.example(0).source[0], 0);
  EXPECT_EQ(data.target_subword->decode(data.valid.example(0).target), "the moon .");
  EXPECT_EQ(read_file(folder_ / "out" / "valid.tsv"), "the moon  .\tbad\nthe cat .\tgood\n");
  EXPECT_THAT(read_file(folder_ / "out" / "report.md"), HasSubstr("class good"));
}

TEST_F(PrepareClassificationTest, LongSentencesAreDroppedFromTrainingAlone) {
  config::DataConfig config = some(lines(0, 300));
  config.max_tokens = 3;  // with both marks: no sentence of the grammar is so short
  EXPECT_THAT(error_of(config), HasSubstr("above data.max_tokens, which is 3"));
  config.corpora[0] = labelled("train.tsv", lines(0, 300) + "bad\tthe\n");
  const PrepareReport report = run(config);
  EXPECT_GE(report.splits[0].pairs, 1u);
  EXPECT_GT(report.corpora[0].too_many_tokens, 200u);
  EXPECT_EQ(report.splits[1].pairs, 2u);
}

// What a byte language model was trained on serves a classifier that begins with it.
TEST_F(PrepareClassificationTest, TakesOverAVocabularyOfBytes) {
  config::DataConfig config = some(lines(0, 300));
  config.subword.model = put(
      "bytes.model", R"({"format":"megin-bytes","version":1,"newlines":"drop","bytes":[116,104,101,32]})");
  run(config);
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_THAT(data.valid.example(1).target, ElementsAre(4, 5, 6, 7, 3, 3, 4, 7, 3)) << "the cat .";
  config.task = config::Task::kTranslation;
  EXPECT_THAT(error_of(config, Existing::kReplace), HasSubstr("wanted a SentencePiece model"));
}

TEST_F(PrepareClassificationTest, WrongLabelsAreErrorsThatNameThem) {
  std::string one_class;
  for (uint64_t i = 0; i < 300; ++i) one_class += "bad\t" + sentence_pair(i).first + "\n";
  EXPECT_THAT(error_of(some(one_class)), HasSubstr("wanted training sentences of 2 classes"));
  config::DataConfig config = some(lines(0, 300));
  config.split.valid = {labelled("valid.tsv", "neutral\tthe moon .\n")};
  EXPECT_THAT(error_of(config), HasSubstr("valid: wanted a label among bad, good, found \"neutral\""));
  EXPECT_THAT(error_of(some(lines(0, 50) + "a sentence alone\n")),
              HasSubstr("train.tsv:51: wanted at least 2 columns between tabs, found 1"));
  config = some(lines(0, 50));
  config.corpora[0].paths.push_back("more.tsv");
  EXPECT_THAT(error_of(config), HasSubstr("data.corpora.0.paths: wanted one TSV file"));
}

TEST(ClassLabels, AreFoundByTheirNames) {
  const std::vector<std::string> classes = {"0", "very good"};
  EXPECT_EQ(class_of("0", classes, "x"), 0);
  EXPECT_EQ(class_of(" very  good ", classes, "x"), 1);
  EXPECT_THROW(class_of("good", classes, "x"), Error);
}

}  // namespace
}  // namespace megin::data
