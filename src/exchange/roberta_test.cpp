// A small RoBERTa and its tokenizer, which reads texts with a leading space (test_files/roberta), against
// transformers. Logits: cli/import_masked_test.cpp.
#include "exchange/roberta.h"

#include "exchange/exchange_fixture.h"
#include "text/subword.h"

namespace megin::exchange {
namespace {

using testing::HasSubstr;

class RobertaTest : public CheckpointTest {
 protected:
  RobertaTest() : CheckpointTest("roberta") {}
};

TEST_F(RobertaTest, CutsTextsIntoTheSameTokens) {
  const Plan plan = read_plan(folder_);
  const auto model = text::SubwordModel::from_bytes(plan.source_subword, "roberta");
  ASSERT_EQ(model.size(), plan.their_symbols);
  ASSERT_EQ(expected_.size(), 69U);
  for (const auto& line : expected_) {
    const auto text = line.at("text").get<std::string>();
    EXPECT_EQ(rows(plan, model.encode(text)), line.at("ids").get<std::vector<int64_t>>()) << text;
  }
}

TEST_F(RobertaTest, HasItsOwnNumbersOfSpecialSymbolsAndPositions) {
  const Plan plan = read_plan(folder_);
  EXPECT_TRUE(config::is_masked_lm(plan.model));
  EXPECT_EQ(rows(plan, {0, 1, 2, 3}), (std::vector<int64_t>{0, 1, 2, 3}));
  const auto subword = text::SubwordModel::from_bytes(plan.source_subword, "roberta");
  ASSERT_TRUE(subword.mask_id());
  EXPECT_EQ(rows(plan, {*subword.mask_id()}), std::vector<int64_t>{plan.their_symbols - 1});
  EXPECT_EQ(plan.model.max_length, 32) << "of 34 rows";
  EXPECT_EQ(plan.model.norm_epsilon, 1e-5);

  const SourceTensors source(folder_);
  const auto theirs = source.all().at("roberta.embeddings.position_embeddings.weight").read(),
             type = source.all().at("roberta.embeddings.token_type_embeddings.weight").read();
  const auto ours = import_tensors(plan, source);
  const auto positions =
      std::ranges::find(ours, "encoder.positions.weight", &store::FloatTensor::name)->values;
  ASSERT_EQ(positions.size(), 32U * 24);
  for (size_t i = 0; i < positions.size(); ++i) EXPECT_EQ(positions[i], theirs[2 * 24 + i] + type[i % 24]);
}

TEST_F(RobertaTest, ComesBackBitForBit) {
  expect_round_trip(folder_, {});
}

TEST_F(RobertaTest, RefusesWhatMeginDoesNotHave) {
  set("hidden_act", "relu");
  EXPECT_THAT(refusal(), HasSubstr("hidden_act: wanted gelu"));
  set("hidden_act", "gelu");
  set("pad_token_id", 40);
  EXPECT_THAT(refusal(), HasSubstr("a size of -7 is none that a model has"));
  set("pad_token_id", 1);
  set("architectures", {"RobertaModel"});
  EXPECT_THAT(refusal(), HasSubstr("missing: embeddings.word_embeddings.weight")) << "a body has no prefix";
  EXPECT_THAT(refusal(), HasSubstr("lm_head.bias"));
  set("architectures", {"RobertaForMaskedLM"});
  write("tokenizer_config.json", R"({"unk_token": "<none>"})");
  EXPECT_THAT(refusal(), HasSubstr("vocab.json: wanted a piece <none>, found none"));
}

}  // namespace
}  // namespace megin::exchange
