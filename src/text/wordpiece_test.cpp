// Word pieces against words and pieces cut by hand from the rules. The token ids of whole tokenizers, cased
// and uncased, are held to transformers' in exchange/bert_test.cpp.
#include "text/wordpiece.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "text/subword.h"

namespace megin::text {
namespace {

using Words = std::vector<std::string>;

WordPieceTables uncased() {
  return {.pieces = {}};
}
WordPieceTables cased() {
  return {.lower_case = false, .strip_accents = false, .pieces = {}};
}

TEST(SplitLikeBert, CutsAtSpacesAndPunctuation) {
  EXPECT_EQ(split_like_bert("Hello, World's 3rd (x)", uncased()),
            (Words{"hello", ",", "world", "'", "s", "3rd", "(", "x", ")"}));
  EXPECT_EQ(split_like_bert("a$b~c  \t d\r\n", cased()), (Words{"a", "$", "b", "~", "c", "d"}))
      << "of ASCII, symbols count as punctuation";
  EXPECT_EQ(split_like_bert("5€ «ja» x–y…", cased()), (Words{"5€", "«", "ja", "»", "x", "–", "y", "…"}))
      << "elsewhere only punctuation does";
  EXPECT_EQ(split_like_bert("a\u00a0b\u2003c\u2028d", cased()), (Words{"a", "b", "c", "d"}));
  EXPECT_EQ(split_like_bert("", cased()), Words{});
  EXPECT_EQ(split_like_bert(" \u3000 ", cased()), Words{});
}

TEST(SplitLikeBert, DropsWhatIsNotShown) {
  EXPECT_EQ(split_like_bert(std::string_view("a\0b", 3), cased()), (Words{"ab"}));
  EXPECT_EQ(split_like_bert("a\u200db\ufeffc\u00add\ufffde\u0085f\x1b", cased()), (Words{"abcdef"}))
      << "joiner, byte-order mark, soft hyphen, replacement character, next line, escape";
}

TEST(SplitLikeBert, LowersAndStripsAsTheTablesSay) {
  WordPieceTables tables = uncased();
  EXPECT_EQ(split_like_bert("ÀÉÎ ñ Ångström", tables), (Words{"aei", "n", "angstrom"}));
  EXPECT_EQ(split_like_bert("İstanbul ΟΔΟΣ straße", tables), (Words{"istanbul", "οδοσ", "straße"}))
      << "the last sigma is an ordinary one";
  EXPECT_EQ(split_like_bert("한", tables), (Words{"\u1112\u1161\u11ab"})) << "syllables come apart, too";
  tables.strip_accents = false;
  EXPECT_EQ(split_like_bert("ÀÉÎ İ e\u0301", tables), (Words{"àéî", "i\u0307", "é"})) << "and are composed";
  tables = cased();
  tables.strip_accents = true;
  EXPECT_EQ(split_like_bert("Àé", tables), (Words{"Ae"}));
  EXPECT_EQ(split_like_bert("Àe\u0301", cased()), (Words{"Àé"}));
}

TEST(SplitLikeBert, MakesWordsOfChineseCharacters) {
  EXPECT_EQ(split_like_bert("abc東京タワー한국", cased()), (Words{"abc", "東", "京", "タワー한국"}))
      << "kana and Hangul are letters";
  EXPECT_EQ(split_like_bert("\U00020000x", cased()), (Words{"\U00020000", "x"}));
  WordPieceTables whole = cased();
  whole.split_chinese = false;
  EXPECT_EQ(split_like_bert("abc東京", whole), (Words{"abc東京"}));
}

SubwordModel small_model() {
  WordPieceTables tables = uncased();
  tables.pieces = {"un", "##aff", "##able", "##a", "aff", "able", "a", "x", "##x", ",", "#", "é", "<mask>"};
  return SubwordModel::from_bytes(to_bytes(tables), "small");
}

Words pieces_of(const SubwordModel& model, std::string_view text) {
  Words pieces;
  for (const int32_t id : model.encode(text)) pieces.push_back(model.piece(id));
  return pieces;
}

TEST(WordPiece, TakesTheLongestPieceFromTheLeft) {
  const SubwordModel model = small_model();
  EXPECT_EQ(model.size(), 4 + 13);
  EXPECT_EQ(pieces_of(model, "Unaffable, able"), (Words{"un", "##aff", "##able", ",", "able"}));
  EXPECT_EQ(pieces_of(model, "ax"), (Words{"a", "##x"}));
  EXPECT_EQ(model.encode("un"), std::vector<int32_t>{4});
}

TEST(WordPiece, ReadsAWholeWordAsUnknownWhereAPieceIsMissing) {
  const SubwordModel model = small_model();
  EXPECT_EQ(pieces_of(model, "unaffy x"), (Words{"<unk>", "x"}));
  EXPECT_EQ(pieces_of(model, "##x"), (Words{"#", "#", "x"})) << "a text has no pieces that go on";
  EXPECT_EQ(pieces_of(model, "<mask>"), (Words{"<unk>", "<unk>", "<unk>"})) << "nor special symbols";
  EXPECT_EQ(pieces_of(model, std::string(100, 'x')).size(), 100U);
  EXPECT_EQ(pieces_of(model, std::string(101, 'x')), (Words{"<unk>"}));
}

TEST(WordPiece, PutsWordsTogetherAgain) {
  const SubwordModel model = small_model();
  EXPECT_EQ(model.decode(model.encode("Unaffable,  able zzz x")), "unaffable , able \u2047 x");
  EXPECT_EQ(model.decode(std::vector<int32_t>{0, 4, 1, 5, 2}), "unaff") << "special symbols are no text";
  EXPECT_EQ(model.decode(std::vector<int32_t>{5}), "##aff") << "nothing that it could go on with";
  EXPECT_EQ(model.decode(std::vector<int32_t>{}), "");
}

TEST(WordPiece, RefusesTablesThatDoNotFit) {
  WordPieceTables tables = uncased();
  tables.pieces = {"a", "##a", "a"};
  EXPECT_THROW(SubwordModel::from_bytes(to_bytes(tables), "twice"), Error);
  tables.pieces = {"a", ""};
  EXPECT_THROW(SubwordModel::from_bytes(to_bytes(tables), "empty"), Error);
  EXPECT_THROW(SubwordModel::from_bytes(R"({"kind":"wordpiece","pieces":["a"]})", "keys are missing"), Error);
}

TEST(WordPiece, DamagedFilesAreReadOrRefused) {
  WordPieceTables tables = uncased();
  for (char c = 'a'; c <= 'z'; ++c) tables.pieces.push_back(std::string(1, c));
  const std::string good = to_bytes(tables);
  int refused = 0;
  for (uint64_t trial = 0; trial < 500; ++trial) {
    std::string bytes = good;
    const uint64_t key = mix64(trial);
    for (uint64_t change = 0; change < 1 + draw_index(key, 0, 4); ++change) {
      bytes[draw_index(key, 2 * change + 1, bytes.size())] =
          static_cast<char>(draw_bits(key, 2 * change + 2));
    }
    try {
      SubwordModel::from_bytes(bytes, "damaged").encode("low lower");
    } catch (const Error&) {
      ++refused;
    }
  }
  EXPECT_GT(refused, 300);
}

}  // namespace
}  // namespace megin::text
