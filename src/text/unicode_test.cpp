#include "text/unicode.h"

#include "text/test_support.h"

namespace megin::text {
namespace {

TEST(Unicode, TellsValidUtf8) {
  EXPECT_TRUE(is_valid_utf8(""));
  EXPECT_TRUE(is_valid_utf8("grün, 漢字, 😀"));
  EXPECT_TRUE(is_valid_utf8("\xF4\x8F\xBF\xBF"));  // U+10FFFF, the last one
  // From the Unicode standard's table of well-formed byte sequences (chapter 3, table 3-7).
  EXPECT_FALSE(is_valid_utf8("\xC0\xAF"));          // overlong
  EXPECT_FALSE(is_valid_utf8("\xE0\x9F\xBF"));      // overlong
  EXPECT_FALSE(is_valid_utf8("\xED\xA0\x80"));      // surrogate
  EXPECT_FALSE(is_valid_utf8("\xF4\x90\x80\x80"));  // above U+10FFFF
  EXPECT_FALSE(is_valid_utf8("gr\xFCn"));           // ISO-8859-1
  EXPECT_FALSE(is_valid_utf8("\xE6\xBC"));          // cut off
}

TEST(Unicode, PutsAnyWhiteSpaceOnOneLine) {
  EXPECT_EQ(normalise_whitespace("  a\tb \n c\r\nd "), "a b c d");
  // No-break space, line separator, paragraph separator, next line, ideographic space, narrow no-break space.
  EXPECT_EQ(normalise_whitespace("a\u00A0b\u2028c\u2029d\u0085e\u3000f\u202Fg"), "a b c d e f g");
  EXPECT_EQ(normalise_whitespace("\uFEFFa\x01"
                                 "b\x7F"),
            "a b");
  EXPECT_EQ(normalise_whitespace("\u00A0\t "), "");
  EXPECT_EQ(normalise_whitespace("नमस्ते\u200Dदुनिया"), "नमस्ते\u200Dदुनिया");  // a joiner is no space
}

TEST(Unicode, LowerCasesAllScripts) {
  EXPECT_EQ(lower_case("ÄÖÜ Straße ΑΒΓ ДОМ"), "äöü straße αβγ дом");
  EXPECT_EQ(lower_case("ΟΔΟΣ"), "οδος");       // final sigma, by Unicode's SpecialCasing
  EXPECT_EQ(lower_case("\u0130"), "i\u0307");  // dotted capital I
  EXPECT_EQ(lower_case(""), "");
}

TEST(Unicode, CountsWordsInScriptsWithAndWithoutSpaces) {
  EXPECT_EQ(count_words(""), 0u);
  EXPECT_EQ(count_words("Hello, world !"), 3u);
  EXPECT_EQ(count_words("漢字文"), 2u);  // three characters, two a word, rounded up
  EXPECT_EQ(count_words("漢字。"), 1u);  // the full stop is no word
  EXPECT_EQ(count_words("Linux 漢字"), 2u);
  EXPECT_EQ(count_words("สวัสดีครับ"), 3u);      // ten code points, four a word
  EXPECT_EQ(count_words("한국어 문장"), 2u);  // Korean has spaces
}

TEST(Unicode, WeighsLettersByScript) {
  EXPECT_EQ(count_letters("grün"), 4u);
  EXPECT_EQ(count_letters("漢字"), 6u);
  EXPECT_EQ(count_letters("かな한"), 6u);
}

TEST(Unicode, FindsLetters) {
  EXPECT_TRUE(has_letter("12 ä"));
  EXPECT_TRUE(has_letter("漢"));
  EXPECT_FALSE(has_letter("12.50 € ⚮ %"));
}

TEST(Unicode, GivesOneKeyToSentencesThatDifferInCaseAndSpace) {
  EXPECT_EQ(sentence_key("Ein  HAUS\u00A0"), sentence_key("ein haus"));
  EXPECT_NE(sentence_key("ein haus"), sentence_key("ein  haus."));
}

TEST(Unicode, ConvertsCharacterSets) {
  EXPECT_EQ(to_utf8("gr\xFCn", "ISO-8859-1"), "grün");
  EXPECT_EQ(to_utf8("\xA4", "ISO-8859-15"), "€");
  EXPECT_EQ(to_utf8("\x82\xA0", "Shift_JIS"), "あ");
  EXPECT_EQ(to_utf8("", "KOI8-R"), "");
  EXPECT_TRUE(contains(error_of([] { to_utf8("a", "NO-SUCH-SET"); }), "the character set 'NO-SUCH-SET'"));
}

TEST(Unicode, ARunningTextHasWordsAndLineEnds) {
  const std::vector<std::string> lines = {"one two", "", "  three  "};
  EXPECT_EQ(count_words_and_ends(lines), 6u);
}

}  // namespace
}  // namespace megin::text
