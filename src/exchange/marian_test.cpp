// A small Marian model and its tokenizers (test_files/marian) against transformers. Logits and translations:
// cli/import_command_test.cpp.
#include "exchange/marian.h"

#include <algorithm>
#include <cmath>

#include "exchange/exchange_fixture.h"
#include "text/subword.h"
#include "text/vocabulary.h"

namespace megin::exchange {
namespace {

using testing::HasSubstr;

class MarianTest : public CheckpointTest {
 protected:
  MarianTest() : CheckpointTest("marian") {}
};

TEST_F(MarianTest, CutsTextsIntoTheSameTokens) {
  const Plan plan = read_plan(folder_);
  const auto model = text::SubwordModel::from_bytes(plan.source_subword, "source");
  ASSERT_EQ(model.size(), static_cast<int64_t>(plan.symbols.size()));
  for (const auto& line : expected_) {
    std::vector<int32_t> ids = model.encode(line.at("text").get<std::string>());
    ids.push_back(text::kEndId);
    EXPECT_EQ(rows(plan, ids), line.at("ids").get<std::vector<int64_t>>()) << line.at("text");
  }
}

TEST_F(MarianTest, SpellsTranslationsTheSame) {
  const Plan plan = read_plan(folder_);
  const auto model = text::SubwordModel::from_bytes(plan.target_subword, "target");
  for (const auto& line : expected_) {
    std::vector<int32_t> ids;
    for (const auto& row : line.at("greedy")) {
      const auto id = std::ranges::find_if(
          plan.symbols, [&](const Symbol& s) { return s.produced && s.row == row.get<int64_t>(); });
      ids.push_back(static_cast<int32_t>(id - plan.symbols.begin()));
    }
    EXPECT_EQ(model.decode(ids), line.at("translation"));
  }
}

// Pieces of the SentencePiece models that vocab.json lacks: the fixture left four out.
TEST_F(MarianTest, GivesPiecesWithoutAnIdTheUnknownSymbolsRow) {
  const Plan plan = read_plan(folder_);
  const auto source = text::SubwordModel::from_bytes(plan.source_subword, "source");
  const auto target = text::SubwordModel::from_bytes(plan.target_subword, "target");
  const auto id = source.id("z");
  ASSERT_TRUE(id);
  EXPECT_EQ(target.id("z"), id) << "one numbering for both sides";
  EXPECT_EQ(plan.symbols[static_cast<size_t>(*id)].row, plan.symbols[text::kUnknownId].row);
  EXPECT_FALSE(plan.symbols[static_cast<size_t>(*id)].produced);
  EXPECT_EQ(rows(plan, source.encode("nzhne")), rows(plan, source.encode("n☃hne")));
}

TEST_F(MarianTest, ComesBackBitForBit) {
  expect_round_trip(
      folder_, {"model.encoder.embed_tokens.weight", "model.decoder.embed_tokens.weight", "lm_head.weight"});
}

TEST_F(MarianTest, BeginsWithThePaddingSymbolsVector) {
  const Plan plan = read_plan(folder_);
  const SourceTensors source(folder_);
  const auto tensors = import_tensors(plan, source);
  const auto begin = std::ranges::find(tensors, "decoder.begin", &store::FloatTensor::name)->values;
  const std::vector<float> table = source.all().at("model.shared.weight").read();
  EXPECT_EQ(begin, std::vector(table.end() - 24, table.end()));
}

// Position 3 of width 24: sin 3, sin(3 / 10000^(2/24)) ... then the cosines.
TEST_F(MarianTest, MakesThePositionsThatItsFileLeavesOut) {
  const Plan plan = read_plan(folder_);
  const auto tensors = import_tensors(plan, SourceTensors(folder_));
  const auto positions =
      std::ranges::find(tensors, "decoder.positions.weight", &store::FloatTensor::name)->values;
  EXPECT_FLOAT_EQ(positions[3 * 24], std::sin(3.0F));
  EXPECT_FLOAT_EQ(positions[3 * 24 + 1], static_cast<float>(std::sin(3 / std::pow(10000.0, 1.0 / 12))));
  EXPECT_FLOAT_EQ(positions[3 * 24 + 12], std::cos(3.0F));
  EXPECT_EQ(positions[0], 0.0F) << "positions count from 0";
}

// ">>fra<<" before a text of a model for several target languages is one symbol, and has no space before it.
TEST_F(MarianTest, ReadsLanguageTags) {
  auto vocabulary = nlohmann::json::parse(read_file(folder_ / "vocab.json"));
  for (auto& [piece, id] : vocabulary.items()) {
    if (id != 20) continue;
    vocabulary.erase(piece);
    break;
  }
  vocabulary[">>fra<<"] = 20;
  write("vocab.json", vocabulary.dump());
  const Plan plan = read_plan(folder_);
  EXPECT_EQ(plan.tags, std::vector<std::string>{">>fra<<"});
  const auto model = text::SubwordModel::from_bytes(plan.source_subword, "source");
  std::vector<int64_t> wanted = rows(plan, model.encode("Das Meer"));
  wanted.insert(wanted.begin(), 20);
  EXPECT_EQ(rows(plan, model.encode(">>fra<< Das Meer")), wanted);
}

TEST_F(MarianTest, RefusesModelsThatMeginDoesNotHave) {
  set("normalize_before", true);
  EXPECT_THAT(refusal(), HasSubstr("normalize_before: wanted false"));
  set("normalize_before", false);
  set("decoder_ffn_dim", 50);
  EXPECT_THAT(refusal(), HasSubstr("decoder_ffn_dim: wanted 40"));
  set("decoder_ffn_dim", 40);
  set("pad_token_id", 5000);
  EXPECT_THAT(refusal(), HasSubstr("pad_token_id: wanted an id from 0 to 141, found 5000"));
}

}  // namespace
}  // namespace megin::exchange
