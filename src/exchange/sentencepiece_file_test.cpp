#include "exchange/sentencepiece_file.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "text/subword.h"

namespace megin::exchange {
namespace {

TEST(SentencePieceFile, ReadsPiecesAndWritesThemBack) {
  const std::string bytes = read_file(std::filesystem::path(MEGIN_TEST_FILES) / "marian" / "source.spm");
  SentencePieceFile file = read_sentencepiece(bytes, "source.spm");
  ASSERT_GT(file.pieces.size(), 50U);
  EXPECT_EQ(file.pieces[0].piece, "<unk>");
  EXPECT_EQ(file.pieces[0].kind, SentencePiece::Kind::kUnknown);
  EXPECT_EQ(file.pieces[1].piece, "<s>");
  EXPECT_EQ(file.pieces[1].kind, SentencePiece::Kind::kControl);
  EXPECT_EQ(file.pieces[3].kind, SentencePiece::Kind::kNormal);
  EXPECT_LT(file.pieces[3].score, 0);

  // SentencePiece itself reads what is written, and an order is only an order.
  std::swap(file.pieces[10], file.pieces[40]);
  const auto before = text::SubwordModel::from_bytes(bytes, "before");
  const auto after = text::SubwordModel::from_bytes(to_bytes(file), "after");
  ASSERT_EQ(after.size(), before.size());
  const auto pieces = [](const text::SubwordModel& model) {
    std::vector<std::string> found;
    for (const int32_t id : model.encode("Der alte Mann kam 2021 nach Hause"))
      found.push_back(model.piece(id));
    return found;
  };
  EXPECT_EQ(pieces(after), pieces(before));
  EXPECT_EQ(after.piece(11), before.piece(41)) << "<pad>, which the file lacks, stands before it";
  EXPECT_EQ(after.piece(41), before.piece(11));
}

TEST(SentencePieceFile, RefusesOtherBytes) {
  EXPECT_THROW(read_sentencepiece("{\"a\": 1}", "json"), Error);
  EXPECT_THROW(read_sentencepiece("", "nothing"), Error);
  EXPECT_THROW(read_sentencepiece("\x0A\x7F"
                                  "abc",
                                  "cut"),
               Error);
}

}  // namespace
}  // namespace megin::exchange
