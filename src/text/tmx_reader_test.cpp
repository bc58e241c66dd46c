#include "text/tmx_reader.h"

#include "text/test_support.h"

namespace megin::text {
namespace {

using Pairs = std::vector<std::string>;

CorpusSpec tmx(std::string_view bytes, std::string source = "en", std::string target = "de") {
  CorpusSpec spec;
  spec.paths = {write_test_file("memory.tmx", bytes)};
  spec.source_language = std::move(source);
  spec.target_language = std::move(target);
  return spec;
}

std::string document(std::string_view body,
                     std::string_view head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n") {
  return std::string(head) + "<tmx version=\"1.4\"><header srclang=\"en\" segtype=\"sentence\"/>\n<body>\n" +
         std::string(body) + "</body></tmx>\n";
}

std::string unit(std::string_view english, std::string_view german) {
  return "<tu><tuv xml:lang=\"en-US\"><seg>" + std::string(english) +
         "</seg></tuv><tuv xml:lang=\"de-DE\"><seg>" + std::string(german) + "</seg></tuv></tu>\n";
}

TEST(Tmx, ReadsUnits) {
  const std::string text = document("<tu tuid=\"1\"><note>no text</note><prop type=\"x\">nor this</prop>" +
                                    unit("Fish &amp; chips", "Fisch &#38; <![CDATA[Pommes]]>").substr(4) +
                                    unit("Good\nmorning", "Guten Morgen"));
  EXPECT_EQ(pairs_of(tmx(text)), (Pairs{"Fish & chips => Fisch & Pommes", "Good\nmorning => Guten Morgen"}));
  EXPECT_EQ(pairs_of(tmx(gzip(text))).size(), 2u);
}

TEST(Tmx, DropsNativeCodesAndKeepsHighlights) {
  const std::string text = document(
      unit("The <bpt i=\"1\">&lt;b&gt;</bpt>big<ept i=\"1\">&lt;/b&gt;</ept> <hi type=\"x\">red</hi> "
           "car<ph>{1}</ph>.",
           "Das <it pos=\"begin\">&lt;b&gt;</it>große<ut>x</ut> <hi>rote <hi>schnelle</hi></hi> Auto."));
  EXPECT_EQ(pairs_of(tmx(text)), (Pairs{"The big red car. => Das große rote schnelle Auto."}));
}

TEST(Tmx, DropsSubFlowsWithTheirCode) {
  const std::string text =
      document(unit("A<ph>&lt;fn&gt;<sub>a <hi>foot</hi>note<ph>x</ph></sub>&lt;/fn&gt;</ph> B", "A B"));
  EXPECT_EQ(pairs_of(tmx(text)), (Pairs{"A B => A B"}));
}

TEST(Tmx, TurnsALineBreakCodeIntoASpace) {
  EXPECT_EQ(pairs_of(tmx(document(unit("one<ph type=\"lb\"/>two", "eins")))), (Pairs{"one two => eins"}));
}

TEST(Tmx, ChoosesAmongVariants) {
  const auto variant = [](std::string language, std::string text) {
    return "<tuv xml:lang=\"" + language + "\"><seg>" + text + "</seg></tuv>";
  };
  const std::string text =
      document("<tu>" + variant("EN-GB", "colour") + variant("en", "color") + variant("fr", "couleur") +
               variant("de-AT", "1") + variant("de-CH", "2") + variant("den", "3") + "</tu><tu>" +
               variant("en", "only English") + "</tu>");
  EXPECT_EQ(pairs_of(tmx(text)), (Pairs{"color => 1"}));
  EXPECT_EQ(pairs_of(tmx(text, "en_GB", "DE-ch")), (Pairs{"colour => 2"}));
  EXPECT_EQ(pairs_of(tmx(text, "fr-CA", "de")), (Pairs{"couleur => 1"}));
}

TEST(Tmx, MatchesLanguages) {
  EXPECT_EQ(match_language("de", "DE"), 2);
  EXPECT_EQ(match_language("de", "de-DE"), 1);
  EXPECT_EQ(match_language("pt_BR", "pt"), 1);
  EXPECT_EQ(match_language("de", "den"), 0);
  EXPECT_EQ(match_language("de-DE", "de-AT"), 0);
  EXPECT_EQ(match_language("de", ""), 0);
}

TEST(Tmx, TakesTheOldLanguageAttribute) {
  const std::string text =
      document("<tu><tuv lang=\"EN\"><seg>a</seg></tuv><tuv lang=\"DE\"><seg>b</seg></tuv></tu>");
  EXPECT_EQ(pairs_of(tmx(text)), (Pairs{"a => b"}));
}

TEST(Tmx, TakesUtf16AndADoctype) {
  const std::string ascii =
      document(unit("one", "eins"), "<?xml version=\"1.0\"?><!DOCTYPE tmx SYSTEM \"tmx14.dtd\">");
  std::string utf16 = "\xFF\xFE";
  for (const char c : ascii) utf16 += {c, '\0'};
  EXPECT_EQ(pairs_of(tmx(ascii)), (Pairs{"one => eins"}));
  EXPECT_EQ(pairs_of(tmx(utf16)), (Pairs{"one => eins"}));
}

TEST(Tmx, KnowsTheLineOfAUnit) {
  const auto reader = open_corpus(tmx(document("\n\n" + unit("one", "eins"))));
  Pair pair;
  ASSERT_TRUE(reader->next(pair));
  EXPECT_EQ(pair.line, 6u);  // <?xml?>, <tmx>, <body>, two empty lines
  EXPECT_TRUE(reader->where().ends_with("memory.tmx:6"));
}

TEST(Tmx, NamesTheLineOfBadXml) {
  const std::string text = document(unit("one", "eins") + unit("two", "zwei</hi>"));
  const std::string message = error_of([&] { pairs_of(tmx(text)); });
  EXPECT_TRUE(contains(message, "memory.tmx:5: not well-formed XML (mismatched tag)")) << message;
}

TEST(Tmx, FindsTruncation) {
  const auto message_without_last = [](size_t bytes) {
    const std::string text = document(unit("one", "eins"));  // the unit is line 4, "</body></tmx>" line 5
    return error_of([&] { pairs_of(tmx(text.substr(0, text.size() - bytes))); });
  };
  EXPECT_TRUE(contains(message_without_last(16), "memory.tmx:4: not well-formed XML (unclosed token)"));
  EXPECT_TRUE(contains(message_without_last(14), "memory.tmx:5: not well-formed XML (no element found)"));
  EXPECT_TRUE(contains(error_of([&] { pairs_of(tmx("")); }), "memory.tmx:1: not well-formed XML"));
}

TEST(Tmx, RefusesDeclaredEntities) {
  const std::string text = document(unit("&b;", "x"),
                                    "<?xml version=\"1.0\"?><!DOCTYPE tmx [<!ENTITY a \"ha\">\n"
                                    "<!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;\">]>");
  EXPECT_TRUE(contains(error_of([&] { pairs_of(tmx(text)); }),
                       "memory.tmx:1: wanted no declared entities, found 'a'"));
}

TEST(Tmx, RefusesUnknownEntities) {
  const std::string with_dtd =
      document(unit("a&nbsp;b", "x"), "<?xml version=\"1.0\"?><!DOCTYPE tmx SYSTEM \"a.dtd\">");
  EXPECT_TRUE(contains(error_of([&] { pairs_of(tmx(with_dtd)); }), "the entity '&nbsp;' is not known"));
  EXPECT_TRUE(
      contains(error_of([&] { pairs_of(tmx(document(unit("a&nbsp;b", "x")))); }), "undefined entity"));
}

TEST(Tmx, RefusesOtherXml) {
  const std::string message = error_of([&] { pairs_of(tmx("<html><body/></html>")); });
  EXPECT_TRUE(contains(message, "memory.tmx:1: wanted a TMX file, found the root element 'html'")) << message;
}

TEST(Tmx, NamesTheLanguagesWhenNoneFits) {
  const std::string message = error_of([&] { pairs_of(tmx(document(unit("one", "eins")), "en", "fr")); });
  EXPECT_TRUE(contains(message, "with 'en' and 'fr', found none; the languages here are: de-DE, en-US"))
      << message;
}

TEST(Tmx, RefusesASegmentOrATagWithoutEnd) {
  EXPECT_TRUE(contains(error_of([&] { pairs_of(tmx(document(unit(std::string(2 << 20, 'a'), "b")))); }),
                       "wanted segments of at most 1 MiB"));
  EXPECT_TRUE(contains(error_of([&] { pairs_of(tmx("<tmx a=\"" + std::string(6 << 20, 'a'))); }),
                       "wanted tags of at most 4 MiB"));
}

}  // namespace
}  // namespace megin::text
