// The expected tokens were worked out from the rules' regular expressions; src/metric/sacrebleu_test.cpp
// compares with the program itself.
#include "metric/tokenizer.h"

#include <fmt/ranges.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "metric/python_text.h"

namespace megin::metric {
namespace {

std::string tokens(Tokenization tokenization, std::string_view line) {
  const std::string text = tokenize(tokenization, line);
  return fmt::format("{}", fmt::join(split(text), " "));
}

TEST(Tokenizer, T13aSeparatesPunctuationButNotInsideNumbers) {
  EXPECT_EQ(tokens(Tokenization::k13a, "He said: \"1,000.50 (ca.)!\""),
            "He said : \" 1,000.50 ( ca . ) ! \"");
  EXPECT_EQ(tokens(Tokenization::k13a, "don't 3-4 x-y 5."), "don't 3 - 4 x-y 5 .");
  EXPECT_EQ(tokens(Tokenization::k13a, "A&amp;B &lt;i&gt; &quot;<skipped>"), "A & B < i > \"");
}

// A match consumes its characters: of two periods behind a letter the second has no letter before it any
// more.
TEST(Tokenizer, T13aRulesConsumeTheirMatches) {
  EXPECT_EQ(tokens(Tokenization::k13a, "a..b"), "a . . b");
  EXPECT_EQ(tokens(Tokenization::k13a, "1...2"), "1 . . .2");
}

TEST(Tokenizer, T13aKeepsPunctuationOutsideAscii) {
  EXPECT_EQ(tokens(Tokenization::k13a, "\u201eJa\u201c \u2013 \u4e2d\u3002"),
            "\u201eJa\u201c \u2013 \u4e2d\u3002");
}

TEST(Tokenizer, IntlGoesByUnicodeClasses) {
  EXPECT_EQ(tokens(Tokenization::kIntl, "\u201eJa\u201c: 5\u20ac, 1.5"), "\u201e Ja \u201c : 5 \u20ac , 1.5");
  EXPECT_EQ(tokens(Tokenization::kIntl, "\u4e2d\u6587\u3002x"), "\u4e2d\u6587 \u3002 x");
  // A period behind a number at the end of a line stays, as in mteval-v14.
  EXPECT_EQ(tokens(Tokenization::kIntl, "in 1999."), "in 1999.");
}

TEST(Tokenizer, CharAndNone) {
  EXPECT_EQ(tokens(Tokenization::kChar, "a\u00e9 \U0001F600"), "a \u00e9 \U0001F600");
  EXPECT_EQ(tokens(Tokenization::kNone, "a,b  c."), "a,b c.");
}

TEST(Tokenizer, NamesGoBothWays) {
  for (const std::string_view name : {"13a", "none", "intl", "char"}) {
    EXPECT_EQ(name_of(tokenization_named(name)), name);
  }
  EXPECT_THROW(tokenization_named("zh"), UsageError);
}

}  // namespace
}  // namespace megin::metric
