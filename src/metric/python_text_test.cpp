#include "metric/python_text.h"

#include <gtest/gtest.h>

#include <string>

namespace megin::metric {
namespace {

using std::string_literals::operator""s;

TEST(PythonText, FindsTheFirstByteThatIsNotUtf8) {
  EXPECT_EQ(first_invalid_byte("gr\u00fc\u00df \U0001F600"), std::string_view::npos);
  EXPECT_EQ(first_invalid_byte(""), std::string_view::npos);
  EXPECT_EQ(first_invalid_byte("ab\xFC"), 2u);             // Latin-1
  EXPECT_EQ(first_invalid_byte("ab\xE4\xB8"), 2u);         // cut off
  EXPECT_EQ(first_invalid_byte("\xC0\x80"), 0u);           // overlong
  EXPECT_EQ(first_invalid_byte("x\xED\xA0\x80"), 1u);      // a surrogate
  EXPECT_EQ(first_invalid_byte("x\xF4\x90\x80\x80"), 1u);  // beyond U+10FFFF
  EXPECT_EQ(first_invalid_byte("a\0b"s), std::string_view::npos);
}

// The list is the one that python3 -c 'print([hex(c) for c in range(0x110000) if chr(c).isspace()])' prints.
TEST(PythonText, WhiteSpaceIsPythons) {
  std::u32string spaces;
  for (char32_t c = 0; c < 0x110000; ++c) {
    if (is_python_space(c)) spaces += c;
  }
  EXPECT_EQ(spaces,
            U"\t\n\v\f\r\x1c\x1d\x1e\x1f "
            U"\x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
            U"\u2028\u2029\u202f\u205f\u3000");
}

TEST(PythonText, SplitsLikePython) {
  EXPECT_EQ(split(" a\u00a0b \u3000 c\x1c"), (std::vector<std::string_view>{"a", "b", "c"}));
  EXPECT_EQ(split("a\u200bb"), (std::vector<std::string_view>{"a\u200bb"}));
  EXPECT_TRUE(split(" \t\u2009").empty());
  EXPECT_EQ(strip_right(" a \u3000\r"), " a");
  EXPECT_EQ(strip_right("\u00a0"), "");
}

TEST(PythonText, LowersLikePython) {
  EXPECT_EQ(lower("ABC xyz"), "abc xyz");
  EXPECT_EQ(lower("\u00c4\u00d6\u00dc \u1e9e"), "\u00e4\u00f6\u00fc \u00df");
  EXPECT_EQ(lower("\u0130"), "i\u0307");  // I with dot above
  EXPECT_EQ(lower("\u039f\u0394\u039f\u03a3 \u03a3"),
            "\u03bf\u03b4\u03bf\u03c2 \u03c3");  // final and lone sigma
}

TEST(PythonText, CodePoints) {
  EXPECT_EQ(code_points("a\u00e9\U0001F600"), U"a\u00e9\U0001F600");
}

}  // namespace
}  // namespace megin::metric
