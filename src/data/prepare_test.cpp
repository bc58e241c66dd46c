#include "data/prepare.h"

#include <map>

#include "data/collect_pairs.h"
#include "data/encode_split.h"
#include "data/prepared_data.h"
#include "data/test_support.h"

namespace megin::data {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;
namespace fs = std::filesystem;

// Source -> target of every example, decoded.
std::multimap<std::string, std::string> decoded(const PreparedData& data, const ExampleSet& set) {
  std::multimap<std::string, std::string> pairs;
  for (int64_t i = 0; i < set.size(); ++i) {
    const Example example = set.example(i);
    pairs.emplace(data.source_subword->decode(example.source), data.target_subword->decode(example.target));
  }
  return pairs;
}

TEST_F(PrepareTest, EveryPairIsInExactlyOneSplitWithItsTranslation) {
  const PrepareReport report = run(config({corpus("a", 0, 1500), corpus("b", 1500, 2000)}));
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_EQ(data.train.size(), 1920);
  EXPECT_EQ(data.valid.size(), 50);
  EXPECT_EQ(data.test.size(), 30);
  EXPECT_EQ(report.splits[0].pairs, 1920u);
  EXPECT_EQ(report.corpora[0].split[0] + report.corpora[1].split[0], 1920u);

  std::multimap<std::string, std::string> all = decoded(data, data.train);
  all.merge(decoded(data, data.valid));
  all.merge(decoded(data, data.test));
  std::multimap<std::string, std::string> expected;
  for (uint64_t i = 0; i < 2000; ++i) expected.insert(sentence_pair(i));
  EXPECT_EQ(all, expected);
  verify_prepared(folder_ / "out");
}

TEST_F(PrepareTest, TextStandsBesideValidationAndTest) {
  run(config({corpus("a", 0, 1000)}));
  const PreparedData data = open_prepared(folder_ / "out");
  const ParallelText test = test_text(data);
  ASSERT_EQ(data.valid_text.source.size(), 50u);
  ASSERT_EQ(test.target.size(), 30u);
  for (size_t i = 0; i < 30; ++i) {
    const Example example = data.test.example(static_cast<int64_t>(i));
    EXPECT_EQ(data.source_subword->decode(example.source), test.source[i]);
    EXPECT_EQ(data.target_subword->decode(example.target), test.target[i]);
  }
}

TEST_F(PrepareTest, GivenSetsAreUsedAsTheyAreAndTheirSourcesLeaveTraining) {
  config::DataConfig given = config({corpus("train", 0, 1000)});
  given.split.valid = {corpus("valid", 990, 1010)};  // ten of them are in train
  given.split.test = {tsv("test.tsv", "THE DOG  sees the house TODAY .\tDer Hund … \n1\t1\n")};
  const PrepareReport report = run(given);
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_EQ(data.valid.size(), 20);
  EXPECT_EQ(data.test.size(), 2);
  EXPECT_THAT(test_text(data).source, ElementsAre("THE DOG  sees the house TODAY .", "1"));
  EXPECT_THAT(test_text(data).target, ElementsAre("Der Hund … ", "1"));
  // Pair 0 is the test's first source in other case and spacing.
  EXPECT_EQ(report.corpora[0].counts[text::Verdict::kLeakage], 11u);
  EXPECT_EQ(data.train.size(), 989);
  EXPECT_TRUE(report.splits[1].given);
}

// Word problems: columns by name, one file for all folds, a test set that keeps repeated rows and short
// equations, and words that are one symbol.
TEST_F(PrepareTest, AFoldOfATableIsATestSet) {
  std::string table = "fold\tquestion\tnumbers\tequation\n";
  for (int row = 0; row < 40; ++row) {
    const auto [question, _] = sentence_pair(static_cast<uint64_t>(row));
    table += std::to_string(row % 4 - 1) + "\t" + question + " number0 number1\t1 2\t" +
             (row % 3 == 0 ? "+ number0 number1" : "- 1.0 2.0") + "\n";
  }
  table += "1\tthe dog number0\t1 2\tnumber0\n1\tthe dog number0\t1 2\tnumber0\n";
  config::CorpusConfig corpus = tsv("problems.tsv", table);
  corpus.source_column = "question";
  corpus.target_column = "equation";
  corpus.where = "fold != 1";
  config::DataConfig folds = config({corpus});
  corpus.where = "fold = 1";
  folds.split.valid = folds.split.test = {corpus};
  folds.subword.vocabulary = 290;
  folds.subword.symbols = {"number0", "number1"};
  folds.cleaning = {.max_ratio = 0, .drop_no_letters = false, .drop_duplicates = false, .drop_leaks = false};
  const PrepareReport report = run(folds);
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_EQ(data.train.size(), 30);  // of fold -1 too
  EXPECT_EQ(data.test.size(), 12);
  EXPECT_EQ(test_text(data).target[11], "number0");
  EXPECT_EQ(test_text(data).source[11], "the dog number0");
  const Example last = data.test.example(11);
  EXPECT_THAT(last.target, testing::ElementsAre(*data.target_subword->id("▁number0")));

  folds.cleaning.drop_no_letters = true;
  folds.output = (folder_ / "cleaned").string();
  EXPECT_EQ(run(folds).corpora[0].counts[text::Verdict::kNoLetters], 19u);
  folds.subword.model = (folder_ / "out" / "subword.model").string();
  folds.subword.symbols = {"number0", "giraffe"};
  folds.output = (folder_ / "taken").string();
  EXPECT_THAT(error_of(folds),
              HasSubstr("this subword model spells \"giraffe\" of data.subword.symbols in "));
}

TEST_F(PrepareTest, ARunningTextKeepsEveryLineInItsOrder) {
  const auto text = [&](const std::string& name, const std::string& lines) {
    config::CorpusConfig corpus;
    corpus.paths = {put(name, lines)};
    return corpus;
  };
  std::string lines;
  for (uint64_t i = 0; i < 300; ++i) lines += sentence_pair(i).first + (i % 10 == 9 ? "\n\n" : "\n");
  config::DataConfig lm = config({text("train.txt", lines), text("more.txt", "bad \xFF byte\nthe dog .\n")});
  lm.task = config::Task::kLanguageModel;
  lm.subword.vocabulary = 300;
  lm.target_language = lm.source_language;
  lm.split.valid = {text("valid.txt", "the cat .\n\nthe dog sees the house today .\n")};
  const PrepareReport report = run(lm);
  EXPECT_EQ(report.splits[0].pairs, 331u);
  EXPECT_EQ(report.corpora[1].counts[text::Verdict::kInvalidUtf8], 1u);
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_EQ(data.task, config::Task::kLanguageModel);
  EXPECT_EQ(data.train.size(), 331);
  EXPECT_TRUE(data.joint);
  EXPECT_TRUE(data.train.example(0).source.empty());
  EXPECT_EQ(data.target_subword->decode(data.train.example(9).target), sentence_pair(9).first);
  EXPECT_TRUE(data.train.example(10).target.empty()) << "an empty line stays one";
  EXPECT_EQ(data.target_subword->decode(data.train.example(330).target), "the dog .");
  EXPECT_THAT(data.valid_text.target, ElementsAre("the cat .", "", "the dog sees the house today ."));
  EXPECT_EQ(data.test.size(), 0);
  EXPECT_THAT(read_file(folder_ / "out" / "report.md"), HasSubstr("invalid_utf8"));

  lm.split.valid = {text("valid.txt", "bad \xFF byte\n")};
  EXPECT_THAT(error_of(lm, Existing::kReplace), HasSubstr("valid.txt:1: this line of a given valid set"));
  lm.split.valid.clear();
  EXPECT_THAT(error_of(lm, Existing::kReplace), HasSubstr("data.split.valid"));
}

TEST_F(PrepareTest, EveryDroppedPairIsCountedUnderItsRule) {
  config::DataConfig some =
      config({corpus("good", 0, 600), tsv("bad.tsv",
                                          "broken \xFF bytes\tx\n"
                                          "\tno source\n"
                                          "the same\tthe same\n"
                                          "12 + 34\t56\n"
                                          "the dog sees the house today .\tder Hund sieht das Haus heute .\n"
                                          "one two three four five six seven eight\tein\n"
                                          "short\tdies hier ist nun wirklich kein kurzer Satz mehr\n"
                                          "zqxjv kwpfb nmzqx jvkwp\tqzxvj wkpfb mnzqx vjkwp\n")});
  some.cleaning.max_words = 7;
  some.cleaning.max_ratio = 3.0;
  some.max_tokens = 20;
  some.subword.kind = config::SubwordKind::kBpe;
  some.subword.vocabulary = 500;
  const PrepareReport report = run(some);
  const CorpusReport& bad = report.corpora[1];
  EXPECT_EQ(bad.counts[text::Verdict::kInvalidUtf8], 1u);
  EXPECT_EQ(bad.counts[text::Verdict::kEmptySide], 1u);
  EXPECT_EQ(bad.counts[text::Verdict::kIdentical], 1u);
  EXPECT_EQ(bad.counts[text::Verdict::kNoLetters], 1u);
  EXPECT_EQ(bad.counts[text::Verdict::kDuplicate], 1u);
  EXPECT_EQ(bad.counts[text::Verdict::kTooLong], 2u);
  EXPECT_EQ(bad.too_many_tokens, 1u);  // foreign letters: more subwords than fit
  EXPECT_EQ(bad.counts.total(), 8u);
  EXPECT_EQ(bad.split[0] + bad.split[1] + bad.split[2], 0u);
  const PreparedData data = open_prepared(folder_ / "out");
  for (int64_t i = 0; i < data.train.size(); ++i) {
    EXPECT_LT(std::max(data.train.example(i).source.size(), data.train.example(i).target.size()), 20u);
  }
  EXPECT_THAT(read_file(folder_ / "out" / "report.md"), HasSubstr("too_many_tokens"));
}

TEST_F(PrepareTest, TagsAndWeightsTravelWithTheirCorpus) {
  config::CorpusConfig first = corpus("a", 0, 500), second = corpus("b", 500, 900);
  first.tag = "<2de>";
  second.tag = "<2nl>";
  second.weight = 2.5;
  run(config({first, second}));
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_THAT(data.corpus_weights, ElementsAre(1.0, 2.5));
  const int32_t tags[] = {data.source_subword->id("<2de>").value(), data.source_subword->id("<2nl>").value()};
  for (int64_t i = 0; i < data.train.size(); ++i) {
    const Example example = data.train.example(i);
    EXPECT_EQ(example.source[0], tags[example.corpus]);
    const std::span<const int32_t> rest = example.source.subspan(1);
    EXPECT_THAT(data.source_subword->encode(data.source_subword->decode(rest)),
                testing::ElementsAreArray(rest));
  }
  EXPECT_THAT(data.valid_text.source[0], StartsWith("<2"));
}

TEST_F(PrepareTest, SeparateModelsHaveTheirOwnVocabularies) {
  config::DataConfig separate = config({corpus("a", 0, 1000)});
  separate.subword.joint = false;
  separate.subword.kind = config::SubwordKind::kBpe;
  run(separate);
  const PreparedData data = open_prepared(folder_ / "out");
  EXPECT_FALSE(data.joint);
  EXPECT_NE(data.source_subword->checksum(), data.target_subword->checksum());
  EXPECT_FALSE(data.source_subword->id("ß"));
  const Example example = data.valid.example(0);
  EXPECT_EQ(data.target_subword->decode(example.target), data.valid_text.target[0]);
}

TEST_F(PrepareTest, AGivenModelIsTakenOver) {
  config::DataConfig taken = config({corpus("a", 0, 1000)});
  run(taken);
  taken.subword.model = (folder_ / "out" / "subword.model").string();
  taken.output = (folder_ / "again").string();
  run(taken);
  EXPECT_EQ(file_checksum(folder_ / "out" / "train-00000.shard"),
            file_checksum(folder_ / "again" / "train-00000.shard"));
  taken.corpora[0].tag = "<2de>";
  EXPECT_THAT(error_of(taken, Existing::kReplace), HasSubstr("no symbol \"<2de>\""));
}

TEST_F(PrepareTest, ThreadsDoNotChangeAFile) {
  config::DataConfig some = config({corpus("a", 0, 3000)});
  run(some);
  const std::string fingerprint = open_prepared(folder_ / "out").fingerprint;
  some.threads = 1;
  run(some, Existing::kReplace);
  EXPECT_EQ(open_prepared(folder_ / "out").fingerprint, fingerprint);
  some.seed = 2;
  run(some, Existing::kReplace);
  EXPECT_NE(open_prepared(folder_ / "out").fingerprint, fingerprint);
}

TEST_F(PrepareTest, CataloguesAreTurnedAroundForEnglishTargets) {
  std::string po = "msgid \"\"\nmsgstr \"Content-Type: text/plain; charset=UTF-8\\n\"\n";
  for (uint64_t i = 0; i < 300; ++i) {
    const auto [english, german] = sentence_pair(i);
    po += "\nmsgid \"" + english + "\"\nmsgstr \"" + german + "\"\n";
  }
  config::DataConfig some = config({tsv("de.po", po)});
  some.source_language = "de";
  some.target_language = "en";
  run(some);
  const PreparedData data = open_prepared(folder_ / "out");
  std::map<std::string, std::string> english_of;
  for (uint64_t i = 0; i < 300; ++i) english_of[sentence_pair(i).second] = sentence_pair(i).first;
  for (size_t i = 0; i < 50; ++i) EXPECT_EQ(english_of[data.valid_text.source[i]], data.valid_text.target[i]);
}

// Each is exit code 1, names the file, and leaves nothing behind.
TEST_F(PrepareTest, BrokenInputIsNamedAndLeavesNothing) {
  const config::CorpusConfig good = corpus("good", 0, 300);
  config::CorpusConfig unequal = good;
  unequal.paths[1] = put("short.de", "nur eine Zeile\n");
  config::CorpusConfig missing = good;
  missing.paths[0] = (folder_ / "nothing.en").string();
  const config::CorpusConfig tmx =
      tsv("bad.tmx", "<?xml version=\"1.0\"?>\n<tmx version=\"1.4\">\n<body><tu>\n");
  config::CorpusConfig gzip;
  gzip.paths = {put("broken.tsv.gz", "\x1F\x8B\x08 cut")};
  const std::vector<std::pair<config::CorpusConfig, std::string>> cases = {
      {unequal, "short.de"}, {missing, "nothing.en"}, {tmx, "bad.tmx:"}, {gzip, "broken.tsv.gz"}};
  const std::set<std::string> before = names();
  for (const auto& [corpus, name] : cases) {
    EXPECT_THAT(error_of(config({good, corpus})), HasSubstr(name));
    EXPECT_EQ(names(), before);
  }
  config::DataConfig as_valid = config({good});
  as_valid.split.valid = {tsv("latin1.tsv",
                              "stra\xDF"
                              "e\tstreet\n")};
  EXPECT_THAT(error_of(as_valid), HasSubstr("latin1.tsv:1"));
}

TEST_F(PrepareTest, WhatCannotBeIsSaidBeforeAnythingIsWritten) {
  const std::set<std::string> before = names();
  EXPECT_THAT(error_of(config({tsv("same.tsv", "a\ta\nb\tb\n")})), HasSubstr("of 2 read, identical 2"));
  config::DataConfig tag = config({corpus("a", 0, 300)});
  tag.corpora[0].tag = "de";
  EXPECT_THROW(run(tag), UsageError);
  config::DataConfig vocabulary = config({corpus("a", 0, 300)});
  vocabulary.subword.vocabulary = 30000;
  EXPECT_THAT(error_of(vocabulary), HasSubstr("give at most"));
  config::DataConfig length = config({corpus("a", 0, 300)});
  length.max_tokens = 2;
  EXPECT_THAT(error_of(length), HasSubstr("data.max_tokens"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
  for (const std::string& name : names()) EXPECT_THAT(name, testing::Not(HasSubstr("tmp"))) << before.size();
}

TEST_F(PrepareTest, AnExistingFolderIsReplacedOnlyWhenAskedAndOurs) {
  const config::DataConfig some = config({corpus("a", 0, 300)});
  run(some);
  EXPECT_THAT(error_of(some), HasSubstr("--overwrite"));
  run(some, Existing::kReplace);
  config::DataConfig foreign = some;
  foreign.output = (folder_ / "foreign").string();
  fs::create_directories(foreign.output);
  put("foreign/precious.txt", "x");
  EXPECT_THAT(error_of(foreign, Existing::kReplace), HasSubstr("not prepared data"));
  EXPECT_TRUE(fs::exists(folder_ / "foreign" / "precious.txt"));
}

TEST_F(PrepareTest, AFailedReplacementKeepsTheOldFolder) {
  const config::DataConfig some = config({corpus("a", 0, 300)});
  run(some);
  config::DataConfig broken = some;
  broken.corpora.push_back(tsv("bad.tmx", "<tmx>"));
  EXPECT_THAT(error_of(broken, Existing::kReplace), HasSubstr("bad.tmx"));
  EXPECT_EQ(open_prepared(folder_ / "out").valid.size(), 50);
}

TEST_F(PrepareTest, ShardsAreOfBoundedSize) {
  run(config({corpus("a", 0, 500)}));
  const PreparedData data = open_prepared(folder_ / "out");
  PairSpool spool(folder_);
  for (uint64_t i = 0; i < 500; ++i) spool.add({sentence_pair(i).first, sentence_pair(i).second, 0});
  spool.flush();
  const SubwordPair subwords = {*data.source_subword, *data.target_subword, ""};
  ThreadPool pool(2);
  Console console({}, true);
  const EncodedSplit encoded = encode_split(spool, {.folder = folder_, .split = "cut", .shard_bytes = 4096},
                                            {subwords, pool, console});
  ASSERT_GT(encoded.report.shards, 5u);
  for (uint64_t i = 0; i < encoded.report.shards; ++i) {
    EXPECT_LT(fs::file_size(shard_path(folder_, "cut", static_cast<int64_t>(i))), 4096u + 300u);
  }
  const ExampleSet set(folder_, "cut", static_cast<int64_t>(encoded.report.shards));
  ASSERT_EQ(set.size(), 500);
  for (int64_t i = 0; i < 500; ++i) {
    EXPECT_EQ(data.source_subword->decode(set.example(i).source),
              sentence_pair(static_cast<uint64_t>(i)).first);
  }
}

}  // namespace
}  // namespace megin::data
