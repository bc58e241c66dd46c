#include "report/markup.h"

#include <gtest/gtest.h>

namespace megin::report {
namespace {

TEST(Markup, EscapesWhatTagsAreMadeOf) {
  EXPECT_EQ(escaped("a<b> & \"c\""), "a&lt;b&gt; &amp; &quot;c&quot;");
}

TEST(Markup, QuotesFieldsOfCsvThatNeedIt) {
  EXPECT_EQ(csv_field("thor-1"), "thor-1");
  EXPECT_EQ(csv_field("THOR, 2 experts"), "\"THOR, 2 experts\"");
  EXPECT_EQ(csv_field("the \"best\""), "\"the \"\"best\"\"\"");
}

}  // namespace
}  // namespace megin::report
