// Byte pairs against words cut by hand from GPT-2's pattern and merges worked out by hand. The token ids of a
// whole tokenizer are held to transformers' in exchange/gpt2_test.cpp.
#include "text/byte_pair.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "text/subword.h"

namespace megin::text {
namespace {

using Words = std::vector<std::string_view>;

TEST(SplitLikeGpt2, CutsAtLettersNumbersAndTheRest) {
  EXPECT_EQ(split_like_gpt2("Hello world's 3rd"), (Words{"Hello", " world", "'s", " 3", "rd"}));
  EXPECT_EQ(split_like_gpt2("x=12, y²"), (Words{"x", "=", "12", ",", " y", "²"}));
  EXPECT_EQ(split_like_gpt2("we'll WE'LL"), (Words{"we", "'ll", " WE", "'", "LL"}));
  EXPECT_EQ(split_like_gpt2("!'s 's"), (Words{"!'", "s", " '", "s"}));
  EXPECT_EQ(split_like_gpt2("名前🙂ok"), (Words{"名前", "🙂", "ok"}));
}

TEST(SplitLikeGpt2, LeavesTheLastOfSeveralSpacesToTheWord) {
  EXPECT_EQ(split_like_gpt2("a   b"), (Words{"a", "  ", " b"}));
  EXPECT_EQ(split_like_gpt2("a\n\n b"), (Words{"a", "\n\n", " b"}));
  EXPECT_EQ(split_like_gpt2("a\n\nb"), (Words{"a", "\n", "\n", "b"})) << "only a plain space joins a word";
  EXPECT_EQ(split_like_gpt2("a \n"), (Words{"a", " \n"})) << "at the end of the text all of them";
  EXPECT_EQ(split_like_gpt2("\u00a0a"), (Words{"\u00a0", "a"}));
  EXPECT_EQ(split_like_gpt2("  "), (Words{"  "}));
  EXPECT_EQ(split_like_gpt2(""), Words{});
}

// All bytes, and the merges of "low", "er" and " low".
BytePairTables small_tables() {
  BytePairTables tables{.pieces = {}, .merges = {}, .end = "<|endoftext|>"};
  for (int byte = 0, next = 256; byte < 256; ++byte) {
    const bool shown = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
    const int c = shown ? byte : next++;
    std::string spelled;
    if (c < 128) {
      spelled = static_cast<char>(c);
    } else {
      spelled = {static_cast<char>(0xC0 | c >> 6), static_cast<char>(0x80 | (c & 63))};
    }
    tables.pieces.push_back(spelled);
  }
  const std::pair<std::string, std::string> merges[] = {{"l", "o"}, {"e", "r"}, {"lo", "w"}, {"Ġ", "low"}};
  for (const auto& merge : merges) {
    tables.merges.push_back(merge);
    tables.pieces.push_back(merge.first + merge.second);
  }
  return tables;
}

SubwordModel small_model() {
  return SubwordModel::from_bytes(to_bytes(small_tables()), "small");
}

std::vector<std::string> pieces_of(const SubwordModel& model, std::string_view text) {
  std::vector<std::string> pieces;
  for (const int32_t id : model.encode(text)) pieces.push_back(model.piece(id));
  return pieces;
}

TEST(BytePair, JoinsTheBestPairFirst) {
  using Pieces = std::vector<std::string>;
  const SubwordModel model = small_model();
  EXPECT_EQ(model.size(), 4 + 256 + 4);
  EXPECT_EQ(pieces_of(model, "low lower"), (Pieces{"low", "Ġlow", "er"}));
  EXPECT_EQ(pieces_of(model, "lolo"), (Pieces{"lo", "lo"}));
  EXPECT_EQ(pieces_of(model, "llow"), (Pieces{"l", "low"}));
  EXPECT_EQ(pieces_of(model, "é"), (Pieces{"Ã", "©"})) << "bytes C3 A9";
  EXPECT_EQ(model.id("Ġlow"), 4 + 256 + 3);
}

TEST(BytePair, GivesEveryTextBack) {
  const SubwordModel model = small_model();
  for (const std::string text :
       {"low lower  lowest", " \t\n two\n", "½ é 東京 🙂👩‍👩‍👧", "\u00a0x\u3000", ""}) {
    EXPECT_EQ(model.decode(model.encode(text)), text);
  }
  EXPECT_EQ(model.decode(std::vector<int32_t>{0, 1, 2, 3}), "") << "special symbols are no text";
  const std::vector<int32_t> half = {model.encode("é")[0]};
  EXPECT_EQ(model.decode(half), "\uFFFD");
}

TEST(BytePair, ReadsTextsWithALeadingSpaceWhereTheTablesSaySo) {
  using Pieces = std::vector<std::string>;
  BytePairTables tables = small_tables();
  tables.leading_space = true;
  const SubwordModel model = SubwordModel::from_bytes(to_bytes(tables), "spaced");
  EXPECT_EQ(pieces_of(model, "low low"), (Pieces{"Ġlow", "Ġlow"}));
  EXPECT_EQ(pieces_of(model, " low"), (Pieces{"Ġlow"}));
  EXPECT_EQ(pieces_of(model, "\u00a0x"), (Pieces{"Â", "ł", "x"})) << "a space of any kind will do";
  EXPECT_EQ(pieces_of(model, ""), Pieces{});
  EXPECT_EQ(model.decode(model.encode("low  lower")), "low  lower");
}

// Long words have many equal pairs: the joins of a word of n bytes cost n log n.
TEST(BytePair, ReadsAVeryLongWord) {
  const SubwordModel model = small_model();
  std::string word;
  for (int i = 0; i < 200'000; ++i) word += "lo";
  EXPECT_EQ(model.encode(word).size(), 200'000U);
}

TEST(BytePair, RefusesTablesThatDoNotFit) {
  BytePairTables tables = small_tables();
  tables.pieces[0] = "b";
  EXPECT_THROW(SubwordModel::from_bytes(to_bytes(tables), "twice"), Error);
  tables = small_tables();
  tables.merges.emplace_back("x", "y");
  EXPECT_THROW(SubwordModel::from_bytes(to_bytes(tables), "no xy"), Error);
  tables = small_tables();
  tables.pieces.erase(tables.pieces.begin() + 7);
  EXPECT_THROW(SubwordModel::from_bytes(to_bytes(tables), "a byte less"), Error);
}

TEST(BytePair, DamagedFilesAreReadOrRefused) {
  const std::string good = to_bytes(small_tables());
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
