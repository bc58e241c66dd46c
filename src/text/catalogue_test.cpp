// PO, MO and what they share.
#include "text/catalogue.h"

#include <cstring>

#include "text/test_support.h"

namespace megin::text {
namespace {

using Pairs = std::vector<std::string>;

CorpusSpec of(const std::filesystem::path& path) {
  CorpusSpec spec;
  spec.paths = {path};
  return spec;
}

CorpusSpec po(std::string_view bytes) {
  return of(write_test_file("catalogue.po", bytes));
}
CorpusSpec mo(std::string_view bytes) {
  return of(write_test_file("catalogue.mo", bytes));
}
std::filesystem::path fixture(const char* name) {
  return std::filesystem::path(MEGIN_TEST_FILES) / name;
}

// What catalogue.po holds, read by eye. msgfmt sorts by msgid.
const Pairs kInFileOrder = {"Open file => Datei öffnen",
                            "menu: Open => Öffnen",
                            "%d file copied => %d Datei kopiert",
                            "%d files copied => %d Dateien kopiert",
                            "The disk is full. => Der Datenträger ist voll.",
                            "Remove some files. => Löschen Sie einige Dateien.",
                            "A long sentence that was wrapped => Ein langer Satz, der umgebrochen wurde",
                            "A \"quoted\" word \\ AB => Ein \"zitiertes\" Wort \\ AB"};
const Pairs kSorted = {kInFileOrder[2], kInFileOrder[3], kInFileOrder[7], kInFileOrder[6],
                       kInFileOrder[4], kInFileOrder[5], kInFileOrder[0], kInFileOrder[1]};

TEST(Po, ReadsACatalogue) {
  EXPECT_EQ(pairs_of(of(fixture("catalogue.po"))), kInFileOrder);
}

TEST(Mo, ReadsWhatMsgfmtCompiled) {
  EXPECT_EQ(pairs_of(of(fixture("catalogue.mo"))), kSorted);
  EXPECT_EQ(pairs_of(of(fixture("catalogue_big_endian.mo"))), kSorted);
}

TEST(Mo, ConvertsTheCharacterSetOfItsHeader) {
  EXPECT_EQ(pairs_of(of(fixture("catalogue_latin1.mo"))), kSorted);
}

TEST(Po, ConvertsTheCharacterSetOfItsHeader) {
  const auto spec =
      po("msgid \"\"\nmsgstr \"Content-Type: text/plain; charset=ISO-8859-1\\n\"\n\nmsgid \"green\"\nmsgstr "
         "\"gr\xFCn\"\n");
  EXPECT_EQ(pairs_of(spec), (Pairs{"green => grün"}));
}

TEST(Po, NamesAnUnknownCharacterSet) {
  const auto spec = po("msgid \"\"\nmsgstr \"charset=KLINGON-1\\n\"\nmsgid \"a\"\nmsgstr \"b\"\n");
  EXPECT_TRUE(contains(error_of([&] { pairs_of(spec); }), "the character set 'KLINGON-1'"));
}

TEST(Po, NeedsNoHeaderNorEmptyLines) {
  EXPECT_EQ(pairs_of(po("msgid \"a\"\nmsgstr \"b\"\nmsgid \"c\"\nmsgstr \"d\"")),
            (Pairs{"a => b", "c => d"}));
  EXPECT_EQ(pairs_of(po("#, fuzzy\nmsgid \"a\"\nmsgstr \"b\"\n#. note\nmsgid \"c\"\nmsgstr \"d\"")),
            (Pairs{"c => d"}));
  EXPECT_EQ(pairs_of(po("#, fuzzy\n#| msgid \"x\"\nmsgid \"a\"\nmsgstr \"b\"\n")), Pairs{});
}

TEST(Po, KnowsTheLineOfAnEntry) {
  const auto reader =
      open_corpus(po("# first\nmsgctxt \"x\"\nmsgid \"a\"\nmsgstr \"b\"\n\n\nmsgid \"c\"\nmsgstr \"d\"\n"));
  Pair pair;
  ASSERT_TRUE(reader->next(pair));
  EXPECT_EQ(pair.line, 2u);
  ASSERT_TRUE(reader->next(pair));
  EXPECT_EQ(pair.line, 7u);
  EXPECT_TRUE(reader->where().ends_with("catalogue.po:7"));
}

TEST(Po, NamesTheLineOfBrokenSyntax) {
  const std::string good = "msgid \"a\"\nmsgstr \"b\"\n";
  for (const auto& [bad, wanted] : std::vector<std::pair<std::string, std::string>>{
           {"msgid \"c\nmsgstr \"d\"\n", ":3: wanted a closing quote"},
           {"msgid \"c\\\"\n", ":3: wanted a closing quote"},
           {"msgid \"c\"d\"\n", ":3: wanted \\\" for a quote inside a string"},
           {"msgid \"c\\q\"\n", ":3: wanted a known escape"},
           {"msgid \"c\\x\"\n", ":3: wanted a known escape"},
           {"msgid c\n", ":3: wanted a keyword and a quoted string"},
           {"msgfoo \"c\"\n", ":3: wanted msgctxt, msgid, msgid_plural or msgstr"},
           {"msgid \"c\"\nmsgstr[99999999999999999999] \"d\"\n", ":4: wanted msgstr[N] with a small number"},
           {"msgid \"c\"\nmsgstr[x] \"d\"\n", ":4: wanted msgstr[N] with a small number"},
           {"msgid \"c\"\nmsgid \"d\"\n", ":4: wanted the msgstr of the msgid before"},
           {"#\n\"c\"\n", ":4: wanted a keyword before this string"},
           {"#\nmsgstr \"c\"\n", ":4: wanted a msgid before this msgstr"},
           {"msgid \"c\"\n", ":3: wanted a msgstr for this msgid, found the end"}}) {
    const std::string message = error_of([&, text = good + bad] { pairs_of(po(text)); });
    EXPECT_TRUE(contains(message, wanted)) << message;
  }
}

TEST(Catalogue, TakesAcceleratorsOff) {
  const auto strip = [](const char* side, const char* other) {
    return strip_accelerator(side, other, "_&~");
  };
  EXPECT_EQ(strip("_File", "_Datei"), "File");
  EXPECT_EQ(strip("Save _As...", ""), "Save As...");
  EXPECT_EQ(strip("E&xit", "&Beenden"), "Exit");
  EXPECT_EQ(strip("~Über", ""), "Über");
  EXPECT_EQ(strip("Tan_gential", "Tan_gentialer Versatz"), "Tangential");
  EXPECT_EQ(strip("文件(_F)", "_File"), "文件");
  EXPECT_EQ(strip("Öffnen (&O)...", ""), "Öffnen...");
}

TEST(Catalogue, LeavesWhatIsNoAccelerator) {
  for (const char* side :
       {"R&D", "MAX_SIZE", "a & b", "&lt;b&gt;", "&amp;", "__init__", "~/.config", "~5 MB", "a _b _c"})
    EXPECT_EQ(strip_accelerator(side, "", "_&~"), side);
  EXPECT_EQ(strip_accelerator("set use_cache first", "zuerst use_cache setzen", "_&~"),
            "set use_cache first");
  EXPECT_EQ(strip_accelerator("_File", "_Datei", ""), "_File");
}

TEST(Catalogue, SplitsLinesOnlyWhereTheyAreItems) {
  const auto pairs = [](std::string id, std::string translation, bool split = true) {
    std::deque<Pair> out;
    CatalogueOptions options;
    options.split_lines = split;
    append_pairs({"", id, "", {translation}, 1}, options, out);
    Pairs shown;
    for (const Pair& pair : out) shown.push_back(pair.source + " => " + pair.target);
    return shown;
  };
  EXPECT_EQ(pairs("One.\nTwo", "Eins.\nZwei"), (Pairs{"One. => Eins.", "Two => Zwei"}));
  EXPECT_EQ(pairs("One.\nTwo", "Eins.\nZwei", false), (Pairs{"One. Two => Eins. Zwei"}));
  EXPECT_EQ(pairs("Title\n\nBody", "Titel\n\nText"), (Pairs{"Title => Titel", "Body => Text"}));
  EXPECT_EQ(pairs("One.\nTwo", "Eins. Zwei"), (Pairs{"One. Two => Eins. Zwei"}));
  EXPECT_EQ(pairs("wrapped\nhere", "hier\numgebrochen"), (Pairs{"wrapped here => hier umgebrochen"}));
  EXPECT_EQ(pairs("End.\n", "Ende."), (Pairs{"End. => Ende."}));
  EXPECT_EQ(pairs("Verb|Open", "Öffnen"), (Pairs{"Open => Öffnen"}));
  EXPECT_EQ(pairs("a|b", "a|c"), (Pairs{"a|b => a|c"}));
  EXPECT_EQ(pairs("a", ""), Pairs{});
}

TEST(Catalogue, ReadsTheHeader) {
  EXPECT_EQ(header_charset("Content-Type: text/plain; charset=KOI8-R\nX: y\n"), "KOI8-R");
  EXPECT_EQ(header_charset("charset=CHARSET\n"), "UTF-8");
  EXPECT_EQ(header_charset("Language: de\n"), "UTF-8");
  EXPECT_TRUE(is_utf8_charset("utf8"));
  EXPECT_TRUE(is_utf8_charset("US-ASCII"));
  EXPECT_FALSE(is_utf8_charset("ISO-8859-1"));
}

// A little-endian MO file: the header, then the words given, then `tail`.
std::string mo_file(std::vector<uint32_t> words, std::string tail = "") {
  std::string bytes(words.size() * 4, '\0');
  std::memcpy(bytes.data(), words.data(), bytes.size());
  return bytes + tail;
}

TEST(Mo, RefusesOffsetsOutsideTheFile) {
  constexpr uint32_t kMagic = 0x950412DE;
  // One entry: its tables at 28 and 36, its strings from 44 on.
  const std::string tail("a\0b\0", 4);
  EXPECT_EQ(pairs_of(mo(mo_file({kMagic, 0, 1, 28, 36, 0, 0, 1, 44, 1, 46}, tail))), (Pairs{"a => b"}));
  const std::vector<std::pair<std::vector<uint32_t>, std::string>> bad = {
      {{kMagic, 0, 1, 28, 36, 0, 0, 1, 44, 1, 48},
       "entry 1: the string at byte 48 of 1 bytes does not end inside"},
      {{kMagic, 0, 1, 28, 36, 0, 0, 1, 44, 0xFFFFFFFF, 46}, "of 4294967295 bytes does not end inside"},
      {{kMagic, 0, 1, 28, 36, 0, 0, 1, 0xFFFFFFFF, 1, 46},
       "at byte 4294967295 of 1 bytes does not end inside"},
      {{kMagic, 0, 1, 28, 36, 0, 0, 2, 44, 1, 46}, "at byte 44 of 2 bytes does not end inside"},
      {{kMagic, 0, 0xFFFFFFFF, 28, 36, 0, 0, 1, 44, 1, 46},
       "table of 4294967295 strings at byte 28 does not fit"},
      {{kMagic, 0, 1, 28, 0xFFFFFFF0, 0, 0, 1, 44, 1, 46}, "at byte 4294967280 does not fit"},
      {{kMagic, 0, 1, 0, 36, 0, 0, 1, 44, 1, 46}, "at byte 0 does not fit"},
      {{kMagic, 0x20000, 1, 28, 36, 0, 0, 1, 44, 1, 46}, "wanted MO revision 0 or 1, found 2"},
      {{0x12345678, 0, 1, 28, 36, 0, 0, 1, 44, 1, 46}, "wanted a compiled gettext catalogue"},
      {{kMagic, 0, 1}, "wanted a compiled gettext catalogue"}};
  for (const auto& [words, wanted] : bad) {
    const std::string message = error_of([&, text = mo_file(words, tail)] { pairs_of(mo(text)); });
    EXPECT_TRUE(contains(message, wanted)) << message;
  }
}

TEST(Mo, RefusesStringsThatOverlap) {
  // A hundred entries that all claim the same 1,000 bytes.
  std::vector<uint32_t> words = {0x950412DE, 0, 100, 28, 28, 0, 0};
  for (int i = 0; i < 100; ++i) words.insert(words.end(), {1000, 28 + 800});
  const auto spec = mo(mo_file(words, std::string(1000, 'a') + '\0'));
  EXPECT_TRUE(contains(error_of([&] { pairs_of(spec); }), "the strings overlap each other"));
}

}  // namespace
}  // namespace megin::text
