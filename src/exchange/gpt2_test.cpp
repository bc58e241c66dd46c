// A small GPT-2 and its tokenizer (test_files/gpt2) against transformers. Logits:
// cli/import_command_test.cpp.
#include "exchange/gpt2.h"

#include "exchange/exchange_fixture.h"
#include "store/safetensors.h"
#include "text/subword.h"

namespace megin::exchange {
namespace {

using testing::HasSubstr;

class Gpt2Test : public CheckpointTest {
 protected:
  Gpt2Test() : CheckpointTest("gpt2") {}

  // The checkpoint with some tensors renamed or left out (an empty name).
  void rename(const std::map<std::string, std::string>& names) {
    std::vector<store::FloatTensor> tensors;
    {
      const store::SafetensorsFile file(folder_ / "model.safetensors");
      for (const store::TensorView& tensor : file.tensors()) {
        const auto found = names.find(tensor.name);
        const std::string name = found == names.end() ? tensor.name : found->second;
        if (!name.empty()) tensors.push_back({name, tensor.shape, store::to_floats(tensor)});
      }
    }
    std::filesystem::remove(folder_ / "model.safetensors");
    write_safetensors(folder_ / "model.safetensors", store::views(tensors));
  }
};

TEST_F(Gpt2Test, CutsTextsIntoTheSameTokens) {
  const Plan plan = read_plan(folder_);
  const auto model = text::SubwordModel::from_bytes(plan.source_subword, "gpt2");
  ASSERT_EQ(model.size(), static_cast<int64_t>(plan.symbols.size()));
  ASSERT_GE(expected_.size(), 7U);
  for (const auto& line : expected_) {
    const auto text = line.at("text").get<std::string>();
    const std::vector<int32_t> ids = model.encode(text);
    EXPECT_EQ(rows(plan, ids), line.at("ids").get<std::vector<int64_t>>()) << text;
    EXPECT_EQ(model.decode(ids), text);
  }
}

TEST_F(Gpt2Test, IsALanguageModelWhoseEndMarkIsTheirs) {
  const Plan plan = read_plan(folder_);
  EXPECT_TRUE(config::is_causal_lm(plan.model));
  EXPECT_EQ(plan.model.width, 32);
  EXPECT_EQ(plan.model.feed_forward, 128);
  EXPECT_EQ(plan.model.activation, config::Activation::kGeluTanh);
  EXPECT_EQ(plan.model.target_vocabulary, plan.their_symbols + 3) << "begin, padding and unknown are new";
  EXPECT_EQ(plan.symbols[2].row, plan.their_symbols - 1);
  const auto tensors = import_tensors(plan, SourceTensors(folder_));
  const auto bias = std::ranges::find(tensors, "output.bias", &store::FloatTensor::name)->values;
  EXPECT_EQ(std::vector(bias.begin(), bias.begin() + 5), (std::vector<float>{-1e3F, -1e3F, 0, -1e3F, 0}));
}

TEST_F(Gpt2Test, ComesBackBitForBit) {
  expect_round_trip(folder_, {});
}

TEST_F(Gpt2Test, ReadsOlderFilesWithoutPrefix) {
  const auto names = SourceTensors(folder_).all();
  std::map<std::string, std::string> shorter;
  for (const auto& [name, tensor] : names) shorter[name] = name.substr(std::string("transformer.").size());
  rename(shorter);
  EXPECT_EQ(refusal(), "");
}

TEST_F(Gpt2Test, ListsAllTensorsThatAreMissingOrUnknown) {
  rename({{"transformer.wpe.weight", "transformer.positions"},
          {"transformer.h.1.ln_2.bias", ""},
          {"transformer.h.0.mlp.c_fc.weight", "transformer.h.0.mlp.c_proj.scale"}});
  const std::string found = refusal();
  EXPECT_THAT(found, HasSubstr("missing: transformer.wpe.weight"));
  EXPECT_THAT(found, HasSubstr("transformer.h.1.ln_2.bias"));
  EXPECT_THAT(found, HasSubstr("transformer.h.0.mlp.c_fc.weight"));
  EXPECT_THAT(found, HasSubstr("unknown: transformer.h.0.mlp.c_proj.scale, transformer.positions"));
}

TEST_F(Gpt2Test, NamesTensorsOfAnotherShape) {
  set("n_positions", 64);
  EXPECT_THAT(refusal(), HasSubstr("of another shape: transformer.wpe.weight ([48, 32] and not [64, 32])"));
}

TEST_F(Gpt2Test, RefusesModelsThatMeginDoesNotHave) {
  set("scale_attn_by_inverse_layer_idx", true);
  EXPECT_THAT(refusal(), HasSubstr("scale_attn_by_inverse_layer_idx: wanted false"));
  set("scale_attn_by_inverse_layer_idx", false);
  set("activation_function", "quick_gelu");
  EXPECT_THAT(refusal(), HasSubstr("activation_function: wanted relu, gelu"));
  set("activation_function", "gelu_new");
  set("n_head", 5);
  EXPECT_THAT(refusal(), HasSubstr("model.heads: wanted a number that divides model.width (32), found 5"));
  set("n_head", 4);
  set("model_type", "llama");
  EXPECT_THAT(refusal(),
              HasSubstr("wanted a model of type gpt2, marian, t5, bert or roberta, found 'llama'"));
}

TEST_F(Gpt2Test, RefusesTokenizersThatDoNotFit) {
  write("merges.txt", "#version: 0.2\na b c\n");
  EXPECT_THAT(refusal(), HasSubstr("merges.txt, line 2: wanted two pieces with a space between"));
  write("merges.txt", "q x\n");
  EXPECT_THAT(refusal(), HasSubstr("has no piece 'qx', which a merge needs"));
  write("vocab.json", R"({"a": 0, "b": 0})");
  EXPECT_THAT(refusal(), HasSubstr("have one id, 0"));
  write("vocab.json", R"({"a": 401})");
  EXPECT_THAT(refusal(), HasSubstr("wanted an id from 0 to 400, found 401"));
}

}  // namespace
}  // namespace megin::exchange
