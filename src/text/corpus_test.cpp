#include "text/corpus.h"

#include "text/test_support.h"

namespace megin::text {
namespace {

using Pairs = std::vector<std::string>;

CorpusSpec of(std::vector<std::filesystem::path> paths) {
  CorpusSpec spec;
  spec.paths = std::move(paths);
  return spec;
}

TEST(Parallel, PairsLineByLine) {
  const auto source = write_test_file("a.en", "one\n\nthree\n");
  const auto target = write_test_file("a.de.gz", gzip("eins\nzwei\n\n"));
  EXPECT_EQ(pairs_of(of({source, target})), (Pairs{"one => eins", " => zwei", "three => "}));
}

TEST(Parallel, NamesBothFilesAndCountsWhenTheyDiffer) {
  const auto source = write_test_file("a.en", "1\n2\n3\n4\n5");
  const auto target = write_test_file("a.de", "1\n2\n3\n");
  const std::string wanted = "found 5 lines in " + source.string() + " and 3 in " + target.string();
  EXPECT_TRUE(contains(error_of([&] { pairs_of(of({source, target})); }), wanted));
  const std::string other = "found 3 lines in " + target.string() + " and 5 in " + source.string();
  EXPECT_TRUE(contains(error_of([&] { pairs_of(of({target, source})); }), other));
}

TEST(Parallel, KnowsWhereItIs) {
  const auto source = write_test_file("a.en", "1\n2\n");
  const auto reader = open_corpus(of({source, write_test_file("a.de", "1\n2\n")}));
  Pair pair;
  reader->next(pair);
  reader->next(pair);
  EXPECT_EQ(pair.line, 2u);
  EXPECT_EQ(reader->where(), source.string() + ":2");
}

TEST(Tsv, TakesTheColumnsAskedFor) {
  CorpusSpec spec = of({write_test_file("a.tsv", "id\tde\ten\n7\teins\tone\tx\r\n8\t\ttwo\n")});
  spec.columns = {"3", "2"};
  spec.header = true;
  EXPECT_EQ(pairs_of(spec), (Pairs{"one => eins", "two => "}));
}

TEST(Tsv, NamesALineWithTooFewColumns) {
  CorpusSpec spec = of({write_test_file("a.tsv", "a\tb\nc\n")});
  const std::string message = error_of([&] { pairs_of(spec); });
  EXPECT_TRUE(contains(message, "a.tsv:2: wanted at least 2 columns between tabs, found 1")) << message;
}

TEST(Corpus, ReadsSeveralFilesAsOne) {
  const auto first = write_test_file("1.tsv", "a\tb\n");
  const auto empty = write_test_file("2.tsv", "");
  const auto last = write_test_file("3.tsv.zst", zstd("c\td\n"));
  EXPECT_EQ(pairs_of(of({first, empty, last})), (Pairs{"a => b", "c => d"}));
}

TEST(Corpus, SwapsSides) {
  CorpusSpec spec = of({write_test_file("1.tsv", "a\tb\n")});
  spec.swap_sides = true;
  EXPECT_EQ(pairs_of(spec), (Pairs{"b => a"}));
}

TEST(Corpus, TellsFormatsByName) {
  EXPECT_EQ(detect_format(of({"x.tmx"})), CorpusFormat::kTmx);
  EXPECT_EQ(detect_format(of({"x.TMX.gz"})), CorpusFormat::kTmx);
  EXPECT_EQ(detect_format(of({"x.po", "y.pot"})), CorpusFormat::kPo);
  EXPECT_EQ(detect_format(of({"x.mo", "y.gmo"})), CorpusFormat::kMo);
  EXPECT_EQ(detect_format(of({"x.tsv.zst"})), CorpusFormat::kTsv);
  EXPECT_EQ(detect_format(of({"train.en", "train.de.gz"})), CorpusFormat::kParallel);
  EXPECT_THROW(detect_format(of({"train.txt"})), UsageError);
  EXPECT_THROW(detect_format(of({"x.po", "y.tmx"})), UsageError);
  EXPECT_THROW(detect_format(of({})), UsageError);
}

TEST(Corpus, NamesFormatsBothWays) {
  for (const auto format : {CorpusFormat::kAuto, CorpusFormat::kParallel, CorpusFormat::kTsv,
                            CorpusFormat::kTmx, CorpusFormat::kPo, CorpusFormat::kMo})
    EXPECT_EQ(corpus_format(corpus_format_name(format)), format);
  EXPECT_TRUE(
      contains(error_of([] { corpus_format("xls"); }), "(auto, parallel, tsv, tmx, po, mo), found 'xls'"));
}

TEST(Corpus, RefusesWhatCannotBeRead) {
  const auto file = write_test_file("a.tsv", "a\tb\n");
  CorpusSpec spec = of({file, "/nowhere/b.tsv"});
  EXPECT_TRUE(
      contains(error_of([&] { open_corpus(spec); }), "/nowhere/b.tsv: this corpus file does not exist"));
  spec = of({file});
  spec.columns = {"0", "1"};
  EXPECT_THROW(open_corpus(spec), UsageError);
  spec.format = CorpusFormat::kParallel;
  EXPECT_THROW(open_corpus(spec), UsageError);
  spec.format = CorpusFormat::kTmx;  // without languages
  EXPECT_THROW(open_corpus(spec), UsageError);
}

}  // namespace
}  // namespace megin::text
