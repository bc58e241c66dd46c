#include "report/table.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace megin::report {
namespace {

Table example() {
  Table table({{"model"}, {"parameters", Align::kRight}, {"note"}});
  table.add_row({"thor", "12,345", ""});
  table.add_row({"größer", "7", "a|b"});
  table.add_row({"日本", "1", "x"});
  return table;
}

TEST(Table, TextLinesUp) {
  EXPECT_EQ(example().text(),
            "model   parameters  note\n"
            "------  ----------  ----\n"
            "thor        12,345\n"
            "größer           7  a|b\n"
            "日本             1  x\n");
}

TEST(Table, MarkdownEscapesBars) {
  EXPECT_EQ(example().markdown(),
            "| model  | parameters | note |\n"
            "| ------ | ---------: | ---- |\n"
            "| thor   |     12,345 |      |\n"
            "| größer |          7 | a\\|b |\n"
            "| 日本   |          1 | x    |\n");
}

TEST(Table, MarkdownColumnsAreThreeWideAtLeastAndKeepLineEnds) {
  Table table({{"a", Align::kRight}});
  table.add_row({"1"});
  EXPECT_EQ(table.markdown(), "|   a |\n| --: |\n|   1 |\n");
  table.add_row({"1\n2"});
  EXPECT_EQ(table.markdown(), "|      a |\n| -----: |\n|      1 |\n| 1<br>2 |\n");
}

TEST(Table, RowsMustFit) {
  Table table({{"a"}, {"b"}});
  EXPECT_THROW(table.add_row({"1"}), UsageError);
  EXPECT_THROW(Table({}), UsageError);
}

}  // namespace
}  // namespace megin::report
