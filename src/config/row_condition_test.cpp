#include "config/row_condition.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace megin::config {
namespace {

TEST(RowConditionTest, IsAColumnASignAndAValue) {
  const RowCondition other = parse_row_condition("fold != 0", "where");
  EXPECT_EQ(other.column, "fold");
  EXPECT_EQ(other.value, "0");
  EXPECT_FALSE(other.equal);
  const RowCondition same = parse_row_condition("  the type=Common Division ", "where");
  EXPECT_EQ(same.column, "the type");
  EXPECT_EQ(same.value, "Common Division");
  EXPECT_TRUE(same.equal);
  EXPECT_EQ(parse_row_condition("a = b = c", "where").value, "b = c");
}

TEST(RowConditionTest, AnythingElseIsNamed) {
  for (const char* wrong : {"", "fold", "fold =", "= 0", "!= 0", "fold == 0", "fold < 3", " != "}) {
    try {
      parse_row_condition(wrong, "data.corpora.0.where");
      ADD_FAILURE() << "wanted an error for '" << wrong << "'";
    } catch (const UsageError& error) {
      EXPECT_EQ(std::string(error.what()),
                std::string("data.corpora.0.where: wanted a column and what it is or is not, as \"fold = "
                            "0\" or \"fold != 0\", found \"") +
                    wrong + "\"");
    }
  }
}

}  // namespace
}  // namespace megin::config
