#include "text/tsv_rows.h"

#include "text/test_support.h"

namespace megin::text {
namespace {

using Rows = std::vector<std::string>;

// Each row's values with | between them.
Rows rows_of(const std::filesystem::path& path, const TsvOptions& options) {
  TsvRows rows(path, options);
  Rows list;
  for (std::vector<std::string_view> values; rows.next(values);) {
    std::string row;
    for (const std::string_view value : values) row += (row.empty() ? "" : "|") + std::string(value);
    list.push_back(row);
  }
  return list;
}

std::filesystem::path problems() {
  return write_test_file("problems.tsv",
                         "fold\tquestion\tequation\n0\thow many\t+ a b\n1\thow much\t- a b\textra\n"
                         "-1\thow far\t* a b\n10\thow old\t/ a b\r\n");
}

TEST(TsvRows, TakesColumnsByNameInTheOrderAskedFor) {
  EXPECT_EQ(rows_of(problems(), {.columns = {"equation", "question"}}),
            (Rows{"+ a b|how many", "- a b|how much", "* a b|how far", "/ a b|how old"}));
}

TEST(TsvRows, TakesColumnsByNumberWithAndWithoutHeader) {
  EXPECT_EQ(rows_of(problems(), {.columns = {"1"}}), (Rows{"fold", "0", "1", "-1", "10"}));
  EXPECT_EQ(rows_of(problems(), {.columns = {"1"}, .header = true}), (Rows{"0", "1", "-1", "10"}));
  EXPECT_EQ(rows_of(problems(), {.columns = {"1", "question"}}).front(), "0|how many");
}

// A row of fold -1 is in every training set and in no test set.
TEST(TsvRows, TakesRowsByAColumnOfTheirs) {
  EXPECT_EQ(rows_of(problems(), {.columns = {"question"}, .where = "fold = 1"}), (Rows{"how much"}));
  EXPECT_EQ(rows_of(problems(), {.columns = {"question"}, .where = "fold != 1"}),
            (Rows{"how many", "how far", "how old"}));
  EXPECT_EQ(rows_of(problems(), {.columns = {"2"}, .header = true, .where = "1 = -1"}), (Rows{"how far"}));
  // The name in the condition alone says that there is a header.
  EXPECT_EQ(rows_of(problems(), {.columns = {"2"}, .where = "equation = / a b"}), (Rows{"how old"}));
}

TEST(TsvRows, ReadsPackedFilesAndKnowsWhereItIs) {
  TsvRows rows(write_test_file("a.tsv.gz", gzip("x\ty\n1\t2\n3\t4\n")), {.columns = {"y"}, .where = "x = 3"});
  std::vector<std::string_view> values;
  ASSERT_TRUE(rows.next(values));
  EXPECT_EQ(values[0], "4");
  EXPECT_EQ(rows.line_number(), 3u);
  EXPECT_TRUE(contains(rows.where(), "a.tsv.gz:3"));
  EXPECT_FALSE(rows.next(values));
}

TEST(TsvRows, NamesWhatIsMissing) {
  const auto error = [](const TsvOptions& options) {
    return error_of([&] { rows_of(problems(), options); });
  };
  EXPECT_TRUE(contains(error({.columns = {"answer"}}),
                       "problems.tsv: wanted a column 'answer' in the first line, found fold, question, "
                       "equation; "));
  EXPECT_TRUE(contains(error({.columns = {"1"}, .where = "split = 1"}), "wanted a column 'split'"));
  EXPECT_TRUE(contains(error({.columns = {"1"}, .where = "fold = 7"}),
                       "problems.tsv: wanted rows where fold = 7, found none"));
  EXPECT_TRUE(contains(error({.columns = {"4"}}), "problems.tsv:1: wanted at least 4 columns"));
  EXPECT_TRUE(contains(error({.columns = {"0"}}), "TSV columns count from 1, found '0'"));
  EXPECT_TRUE(contains(error({.columns = {"1"}, .where = "fold"}), "where: wanted a column and what it is"));
}

}  // namespace
}  // namespace megin::text
