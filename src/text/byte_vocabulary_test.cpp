#include "text/byte_vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "text/subword.h"
#include "text/vocabulary.h"

namespace megin::text {
namespace {

using config::Newlines;
using testing::ElementsAre;
using testing::HasSubstr;
using Values = std::vector<uint8_t>;

SubwordModel model_of(const ByteVocabulary& vocabulary) {
  return SubwordModel::from_bytes(to_file(vocabulary), "test");
}

// Three sets: b 4 times; newline 4 times, but first seen behind b; a 3; z 2; c and y once, c in the first
// set.
ByteCounts small_sets() {
  ByteCounts counts;
  for (const char* piece : {"abba\nca", "b\n", "zb\n", "yz\n"}) counts.add(piece);
  return counts;
}

// smoe_dropout spec 5.1.
TEST(ByteVocabulary, IdsGoByCountsAndThenByFirstOccurrence) {
  EXPECT_EQ(small_sets().vocabulary(Newlines::kKeep).values, (Values{'b', '\n', 'a', 'z', 'c', 'y'}));
  EXPECT_EQ(small_sets().vocabulary(Newlines::kDrop).values, (Values{'b', 'a', 'z', 'c', 'y'}));
  const SubwordModel model = model_of(small_sets().vocabulary(Newlines::kDrop));
  EXPECT_EQ(model.size(), 4 + 5);
  EXPECT_THAT(model.encode("ab\nby\n"), ElementsAre(5, 4, 4, 8)) << "newlines are left out";
  EXPECT_EQ(model.decode(model.encode("ab\nby\n")), "abby");
}

TEST(ByteVocabulary, EveryByteComesBack) {
  std::string all;
  for (int value = 255; value >= 0; --value) all += static_cast<char>(value);
  ByteCounts counts;
  counts.add(all);
  const SubwordModel model = model_of(counts.vocabulary(Newlines::kKeep));
  EXPECT_EQ(model.size(), 260);
  std::vector<int32_t> wanted;
  for (int32_t id = kSpecialIds; id < 260; ++id) wanted.push_back(id);
  EXPECT_EQ(model.encode(all), wanted);
  using namespace std::string_literals;
  for (const std::string& text : {all, "\xEF\xBB\xBF a \t\r\n\n"s, "\0x\0"s, "e\u0301 \xC3"s, ""s}) {
    EXPECT_EQ(model.decode(model.encode(text)), text);
    EXPECT_EQ(model.encode(text).size(), text.size());
  }
}

TEST(ByteVocabulary, WhatNeverOccurredIsUnknownAndMarksAreSkipped) {
  const SubwordModel model = model_of({Newlines::kKeep, {'x', '\n', ' ', '<'}});
  EXPECT_THAT(model.encode("xq\n"), ElementsAre(4, kUnknownId, 5));
  const int32_t ids[] = {kBeginId, 4, kUnknownId, kPadId, 5, kEndId};
  EXPECT_EQ(model.decode(ids), "x\xEF\xBF\xBD\n");
  EXPECT_EQ(model.piece(2), "</s>");
  EXPECT_EQ(model.piece(4), "x");
  EXPECT_EQ(model.piece(5), "<0x0A>");
  EXPECT_EQ(model.piece(6), "<0x20>");
  EXPECT_EQ(model.id("<0x0A>"), 5);
  EXPECT_EQ(model.id("<2de>"), std::nullopt);
  const int32_t beyond[] = {8};
  EXPECT_THROW(model.decode(beyond), Error);
}

TEST(ByteVocabulary, ItsFileIsJson) {
  const ByteVocabulary vocabulary{Newlines::kDrop, {98, 0, 255}};
  const std::string file = to_file(vocabulary);
  EXPECT_EQ(file, "{\"format\":\"megin-bytes\",\"version\":1,\"newlines\":\"drop\",\"bytes\":[98,0,255]}\n");
  EXPECT_EQ(byte_vocabulary_from_file(file, "x"), vocabulary);
  EXPECT_EQ(model_of(vocabulary).bytes(), file);
  ASSERT_NE(model_of(vocabulary).byte_vocabulary(), nullptr);
  EXPECT_EQ(*model_of(vocabulary).byte_vocabulary(), vocabulary);
}

TEST(ByteVocabulary, DamagedFilesAreNamed) {
  const auto error_of = [](const std::string& newlines, const std::string& bytes, int version = 1) {
    try {
      SubwordModel::from_bytes(
          fmt::format(R"({{"format":"megin-bytes","version":{},"newlines":"{}","bytes":{}}})", version,
                      newlines, bytes),
          "x.model");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_EQ(error_of("keep", "[10,1]"), "");
  for (const auto& [newlines, bytes] : {std::pair{"drop", "[1,10]"},
                                        {"keep", "[1,1]"},
                                        {"keep", "[256]"},
                                        {"keep", "[-1]"},
                                        {"keep", "[\"a\"]"},
                                        {"keep", "[1"},
                                        {"maybe", "[1]"}}) {
    EXPECT_THAT(error_of(newlines, bytes), HasSubstr("x.model: wanted a vocabulary of bytes")) << bytes;
  }
  EXPECT_THAT(error_of("keep", "[1]", 2), HasSubstr("of version 1"));
}

}  // namespace
}  // namespace megin::text
