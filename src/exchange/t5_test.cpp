// Two small T5s, as 1.0 and as 1.1, and their tokenizers (test_files/t5, t5_gated) against transformers.
// Logits and translations: cli/import_command_test.cpp.
#include "exchange/t5.h"

#include <algorithm>

#include "exchange/exchange_fixture.h"
#include "text/subword.h"
#include "text/vocabulary.h"

namespace megin::exchange {
namespace {

using testing::HasSubstr;

class T5Test : public CheckpointTest {
 protected:
  explicit T5Test(const std::string& name = "t5") : CheckpointTest(name) {}

  void expect_same_tokens() const {
    const Plan plan = read_plan(folder_);
    const auto model = text::SubwordModel::from_bytes(plan.source_subword, "spiece");
    ASSERT_EQ(model.size(), static_cast<int64_t>(plan.symbols.size()));
    for (const auto& line : expected_) {
      std::vector<int32_t> ids = model.encode(line.at("text").get<std::string>());
      ids.push_back(text::kEndId);
      EXPECT_EQ(rows(plan, ids), line.at("ids").get<std::vector<int64_t>>()) << line.at("text");
    }
  }
};

class GatedT5Test : public T5Test {
 protected:
  GatedT5Test() : T5Test("t5_gated") {}
};

TEST_F(T5Test, CutsTextsIntoTheSameTokens) {
  expect_same_tokens();
}

TEST_F(GatedT5Test, CutsTextsIntoTheSameTokens) {
  expect_same_tokens();
}

// transformers strips what it spells.
std::string stripped(const std::string& text) {
  const size_t first = std::min(text.find_first_not_of(' '), text.size());
  return text.substr(first, text.find_last_not_of(' ') + 1 - first);
}

TEST_F(T5Test, SpellsOutputsTheSame) {
  const Plan plan = read_plan(folder_);
  const auto model = text::SubwordModel::from_bytes(plan.target_subword, "spiece");
  for (const auto& line : expected_) {
    std::vector<int32_t> ids;
    for (const auto& row : line.at("greedy")) {
      const auto id = std::ranges::find(plan.symbols, row.get<int64_t>(), &Symbol::row);
      ids.push_back(static_cast<int32_t>(id - plan.symbols.begin()));
    }
    EXPECT_EQ(stripped(model.decode(ids)), line.at("translation"));
  }
  const auto sentinel = model.id("<extra_id_1>");
  ASSERT_TRUE(sentinel);
  EXPECT_EQ(plan.symbols[static_cast<size_t>(*sentinel)].row, plan.their_symbols - 2) << "from the last down";
  EXPECT_EQ(model.decode(std::vector<int32_t>{*sentinel}), "<extra_id_1>") << "is what was asked for";
}

TEST_F(T5Test, IsWhatItsPaperSays) {
  const config::ModelConfig model = read_plan(folder_).model;
  EXPECT_EQ(model.activation, config::Activation::kRelu);
  EXPECT_EQ(model.share_embeddings, config::ShareEmbeddings::kAll);
  EXPECT_TRUE(model.scale_output);
  EXPECT_TRUE(model.output_bias) << "no row is left for <s>";
  EXPECT_EQ(model.head_width, 5);
  EXPECT_EQ(model.decoder_layers, 3);
  EXPECT_EQ(model.position_buckets, 12);
  EXPECT_EQ(model.position_distance, 20);
}

TEST_F(GatedT5Test, HasRowsOfNoText) {
  const Plan plan = read_plan(folder_);
  EXPECT_EQ(plan.model.activation, config::Activation::kGegluTanh);
  EXPECT_EQ(plan.model.share_embeddings, config::ShareEmbeddings::kInputs);
  EXPECT_FALSE(plan.model.scale_output);
  EXPECT_FALSE(plan.model.output_bias);
  EXPECT_EQ(plan.symbols.size(), static_cast<size_t>(plan.their_symbols));
  EXPECT_EQ(plan.symbols[text::kBeginId].row, plan.their_symbols - 1);
  std::vector<int64_t> all;
  for (const Symbol& symbol : plan.symbols) all.push_back(symbol.row);
  std::ranges::sort(all);
  for (size_t row = 0; row < all.size(); ++row) EXPECT_EQ(all[row], static_cast<int64_t>(row));
}

// In a pytorch_model.bin stands what is tied, too.
TEST_F(T5Test, ComesBackBitForBit) {
  expect_round_trip(folder_,
                    {"encoder.embed_tokens.weight", "decoder.embed_tokens.weight", "lm_head.weight"});
}

TEST_F(GatedT5Test, ComesBackBitForBit) {
  expect_round_trip(folder_, {});
}

// What training changes is exported: nothing in it is of megin alone.
TEST_F(GatedT5Test, IsWrittenAfterTraining) {
  const Plan plan = read_plan(folder_);
  auto tensors = import_tensors(plan, SourceTensors(folder_));
  for (store::FloatTensor& tensor : tensors) {
    for (float& value : tensor.values) value += 0.5F;
  }
  const auto back = export_tensors(plan, tensors);
  const SourceTensors source(folder_);
  for (const store::FloatTensor& tensor : back) {
    std::vector<float> wanted = source.all().at(tensor.name).read();
    for (float& value : wanted) value += 0.5F;
    EXPECT_EQ(tensor.values, wanted) << tensor.name;
  }
}

TEST_F(T5Test, IsNotWrittenWithABiasThatItLacks) {
  const Plan plan = read_plan(folder_);
  auto tensors = import_tensors(plan, SourceTensors(folder_));
  std::ranges::find(tensors, "output.bias", &store::FloatTensor::name)->values[5] = 0.5F;
  EXPECT_THROW(export_tensors(plan, tensors), Error);
}

TEST_F(T5Test, RefusesModelsThatMeginDoesNotHave) {
  set("feed_forward_proj", "gated-quick_gelu");
  EXPECT_THAT(refusal(), HasSubstr("feed_forward_proj: wanted relu, gated-gelu or gated-silu"));
  set("feed_forward_proj", "gated-gelu");
  EXPECT_THAT(refusal(), HasSubstr("missing: encoder.block.0.layer.1.DenseReluDense.wi_1.weight"));
  EXPECT_THAT(refusal(), HasSubstr("unknown: decoder.block.0.layer.2.DenseReluDense.wi.weight"));
  set("feed_forward_proj", "relu");
  set("decoder_start_token_id", 1);
  EXPECT_THAT(refusal(), HasSubstr("decoder_start_token_id: wanted 0"));
  set("decoder_start_token_id", 0);
  set("eos_token_id", 2);
  EXPECT_THAT(refusal(), HasSubstr("eos_token_id: wanted 1"));
  set("eos_token_id", 1);
  set("relative_attention_num_buckets", 7);
  EXPECT_THAT(refusal(), HasSubstr("model.position_buckets: wanted an even number from 4 on, found 7"));
  set("relative_attention_num_buckets", 12);
  set("vocab_size", 40);
  EXPECT_THAT(refusal(), HasSubstr("wanted at most 40 pieces"));
  set("vocab_size", 110);
  EXPECT_THAT(refusal(), HasSubstr("of another shape: shared.weight ([109, 24] and not [110, 24])"));
}

TEST_F(T5Test, RefusesTokenizersThatDoNotFit) {
  write("tokenizer_config.json", R"({"extra_ids": -1})");
  EXPECT_THAT(refusal(), HasSubstr("extra_ids: wanted 0 to"));
  std::filesystem::remove(folder_ / "tokenizer_config.json");
  EXPECT_EQ(refusal(), "") << "which would give it other sentinels, but they are not in the weights";
  std::filesystem::remove(folder_ / "spiece.model");
  EXPECT_THAT(refusal(), HasSubstr("spiece.model"));
}

}  // namespace
}  // namespace megin::exchange
