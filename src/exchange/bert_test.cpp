// Small BERTs and their tokenizers (test_files/bert: uncased, with both heads of the pre-training;
// test_files/bert_cased: a body alone) against transformers. Logits and states: cli/import_masked_test.cpp.
#include "exchange/bert.h"

#include <functional>

#include "exchange/exchange_fixture.h"
#include "exchange/model_exchange.h"
#include "store/safetensors.h"
#include "text/subword.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class BertTest : public CheckpointTest {
 protected:
  BertTest() : CheckpointTest("bert") {}

  static std::vector<store::FloatTensor> read_all(const fs::path& folder) {
    std::vector<store::FloatTensor> tensors;
    const SourceTensors source(folder);
    for (const auto& [name, tensor] : source.all()) tensors.push_back({name, tensor.shape, tensor.read()});
    return tensors;
  }
  void write_all(const std::vector<store::FloatTensor>& tensors) const {
    fs::remove(folder_ / "model.safetensors");
    write_safetensors(folder_ / "model.safetensors", store::views(tensors));
  }
  static store::FloatTensor& tensor(std::vector<store::FloatTensor>& tensors, const std::string& name) {
    return *std::ranges::find(tensors, name, &store::FloatTensor::name);
  }
  void set_tokenizer(const std::string& key, const nlohmann::json& value) {
    auto config = nlohmann::json::parse(read_file(folder_ / "tokenizer_config.json"));
    config[key] = value;
    write("tokenizer_config.json", config.dump());
  }
};

class CasedBertTest : public CheckpointTest {
 protected:
  CasedBertTest() : CheckpointTest("bert_cased") {}
};

void expect_tokens(const Plan& plan, const nlohmann::json& expected,
                   const std::function<std::vector<int64_t>(const std::vector<int32_t>&)>& rows) {
  const auto model = text::SubwordModel::from_bytes(plan.source_subword, "bert");
  ASSERT_EQ(model.size(), plan.their_symbols);
  ASSERT_EQ(expected.size(), 69U);
  for (const auto& line : expected) {
    const auto text = line.at("text").get<std::string>();
    const std::vector<int32_t> ids = model.encode(text);
    EXPECT_EQ(rows(ids), line.at("ids").get<std::vector<int64_t>>()) << text;
    if (!line.contains("decoded")) continue;
    auto decoded = line.at("decoded").get<std::string>();
    for (size_t at = 0; (at = decoded.find("[UNK]")) != std::string::npos;) decoded.replace(at, 5, "\u2047");
    EXPECT_EQ(model.decode(ids), decoded);
  }
}

TEST_F(BertTest, CutsTextsIntoTheSameTokens) {
  const Plan plan = read_plan(folder_);
  expect_tokens(plan, expected_, [&](const auto& ids) { return rows(plan, ids); });
}

TEST_F(CasedBertTest, CutsTextsIntoTheSameTokens) {
  const Plan plan = read_plan(folder_);
  expect_tokens(plan, expected_, [&](const auto& ids) { return rows(plan, ids); });
}

TEST_F(BertTest, IsAMaskedLanguageModel) {
  const Plan plan = read_plan(folder_);
  EXPECT_TRUE(config::is_masked_lm(plan.model));
  EXPECT_EQ(plan.model.width, 24);
  EXPECT_EQ(plan.model.feed_forward, 40);
  EXPECT_EQ(plan.model.max_length, 32);
  EXPECT_EQ(plan.model.norm_epsilon, 1e-12);
  EXPECT_EQ(plan.model.activation, config::Activation::kGelu);
  EXPECT_TRUE(plan.model.norm_embeddings && plan.model.output_transform && plan.model.output_bias);
  EXPECT_EQ(rows(plan, {0, 1, 2, 3}), (std::vector<int64_t>{2, 0, 3, 1})) << "[CLS], [PAD], [SEP], [UNK]";
  const auto subword = text::SubwordModel::from_bytes(plan.source_subword, "bert");
  ASSERT_TRUE(subword.mask_id());
  EXPECT_EQ(rows(plan, {*subword.mask_id()}), std::vector<int64_t>{4});
}

// To each position the vector of the first segment is added.
TEST_F(BertTest, ReadsTheFirstSegment) {
  auto theirs = read_all(folder_);
  const auto positions = tensor(theirs, "bert.embeddings.position_embeddings.weight").values,
             types = tensor(theirs, "bert.embeddings.token_type_embeddings.weight").values;
  auto ours = import_tensors(read_plan(folder_), SourceTensors(folder_));
  const auto& found = tensor(ours, "encoder.positions.weight").values;
  ASSERT_EQ(found.size(), positions.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], positions[i] + types[i % 24]);
}

TEST_F(BertTest, ComesBackBitForBit) {
  expect_round_trip(folder_, {});
}

TEST_F(CasedBertTest, ComesBackBitForBit) {
  expect_round_trip(folder_, {});
  const Plan plan = read_plan(folder_);
  EXPECT_FALSE(plan.model.output_transform || plan.model.output_bias);
  EXPECT_EQ(plan.model.activation, config::Activation::kGeluTanh);
}

TEST_F(BertTest, KeepsWhatTheModelDoesNotHave) {
  import_model(folder_, root_ / "model");
  const SourceTensors source(folder_), kept(root_ / "model" / "imported");
  std::vector<std::string> names;
  for (const auto& [name, tensor] : kept.all()) {
    names.push_back(name);
    EXPECT_EQ(tensor.read(), source.all().at(name).read()) << name;
  }
  EXPECT_THAT(names, ElementsAre("bert.embeddings.position_embeddings.weight",
                                 "bert.embeddings.token_type_embeddings.weight", "bert.pooler.dense.bias",
                                 "bert.pooler.dense.weight", "cls.seq_relationship.bias",
                                 "cls.seq_relationship.weight"));
  const store::ModelDirectory model = store::open_model_directory(root_ / "model");
  EXPECT_EQ(export_model(model, model.subwords.imported, root_ / "back"), "bert");
  const SourceTensors back(root_ / "back");
  ASSERT_EQ(back.all().size(), source.all().size());
  for (const auto& [name, tensor] : source.all())
    EXPECT_EQ(back.all().at(name).read(), tensor.read()) << name;
  for (const char* const file : {"vocab.txt", "tokenizer_config.json", "special_tokens_map.json"})
    EXPECT_EQ(read_file(root_ / "back" / file), read_file(folder_ / file)) << file;

  fs::remove(model.subwords.imported / "model.safetensors");
  EXPECT_THAT([&] { export_model(model, model.subwords.imported, root_ / "again"); },
              testing::ThrowsMessage<Error>(HasSubstr("found neither model.safetensors")));
  export_model(model, folder_, root_ / "again");  // the checkpoint itself has them, too
}

// Positions that training moved are ours less the segment's vector, and the others still bit for bit.
TEST_F(BertTest, WritesPositionsThatWereTrained) {
  const Plan plan = read_plan(folder_);
  const SourceTensors source(folder_);
  auto ours = import_tensors(plan, source);
  float& moved = tensor(ours, "encoder.positions.weight").values[30];
  moved += 0.5F;
  auto back = export_tensors(plan, ours, kept_tensors(plan, source));
  const std::string name = "bert.embeddings.position_embeddings.weight";
  auto wanted = source.all().at(name).read();
  const float segment = source.all().at("bert.embeddings.token_type_embeddings.weight").read()[30 % 24];
  wanted[30] = moved - segment;
  EXPECT_EQ(tensor(back, name).values, wanted);
}

// The published bert-base-uncased still has the names of its first program.
TEST_F(BertTest, ReadsOlderNamesOfNorms) {
  auto tensors = read_all(folder_);
  for (auto& tensor : tensors) {
    for (const auto& [end, older] :
         {std::pair("LayerNorm.weight", "LayerNorm.gamma"), std::pair("LayerNorm.bias", "LayerNorm.beta")}) {
      if (tensor.name.ends_with(end))
        tensor.name.replace(tensor.name.size() - std::string(end).size(), 99, older);
    }
  }
  tensors.push_back({"bert.embeddings.position_ids", {1, 32}, std::vector<float>(32)});
  write_all(tensors);
  EXPECT_EQ(refusal(), "");
}

TEST_F(BertTest, ReadsCopiesThatAreAlike) {
  auto tensors = read_all(folder_);
  auto table = tensor(tensors, "bert.embeddings.word_embeddings.weight"),
       bias = tensor(tensors, "cls.predictions.bias");
  table.name = "cls.predictions.decoder.weight";
  bias.name = "cls.predictions.decoder.bias";
  tensors.push_back(table);
  tensors.push_back(bias);
  write_all(tensors);
  EXPECT_EQ(refusal(), "");
  tensors.back().values[3] += 1;
  write_all(tensors);
  EXPECT_THAT(refusal(),
              HasSubstr("wanted cls.predictions.bias once, found it twice with values that differ"));
  tensors.pop_back();
  tensors.back().values[3] += 1;
  write_all(tensors);
  EXPECT_THAT(refusal(), HasSubstr("wanted one table of vectors for input and output"));
}

TEST_F(BertTest, ListsAllTensorsThatAreMissingOrUnknown) {
  auto tensors = read_all(folder_);
  tensor(tensors, "bert.embeddings.token_type_embeddings.weight").name = "bert.embeddings.types";
  tensor(tensors, "bert.pooler.dense.bias").name = "classifier.bias";
  tensor(tensors, "cls.predictions.transform.dense.bias").shape = {2, 12};
  write_all(tensors);
  const std::string found = refusal();
  EXPECT_THAT(found, HasSubstr("missing: bert.embeddings.token_type_embeddings.weight;"));
  EXPECT_THAT(found, HasSubstr("unknown: bert.embeddings.types, classifier.bias"));
  EXPECT_THAT(found,
              HasSubstr("of another shape: cls.predictions.transform.dense.bias ([2, 12] and not [24])"));
}

TEST_F(BertTest, RefusesModelsThatMeginDoesNotHave) {
  set("architectures", {"BertForTokenClassification"});
  EXPECT_THAT(refusal(), HasSubstr("architectures: wanted BertModel, BertForMaskedLM, BertForPreTraining or "
                                   "BertForSequenceClassification, found BertForTokenClassification"));
  set("architectures", {"BertForMaskedLM"});
  set("is_decoder", true);
  EXPECT_THAT(refusal(), HasSubstr("is_decoder: wanted false"));
  set("is_decoder", false);
  set("position_embedding_type", "relative_key");
  EXPECT_THAT(refusal(), HasSubstr("position_embedding_type: wanted absolute"));
  set("position_embedding_type", "absolute");
  set("type_vocab_size", 0);
  EXPECT_THAT(refusal(), HasSubstr("type_vocab_size: wanted 1 or more, found 0"));
}

TEST_F(BertTest, RefusesTokenizersThatDoNotFit) {
  set_tokenizer("tokenizer_class", "BertJapaneseTokenizer");
  EXPECT_THAT(refusal(),
              HasSubstr("wanted BertTokenizer or BertTokenizerFast, found 'BertJapaneseTokenizer'"));
  set_tokenizer("tokenizer_class", nullptr);
  set_tokenizer("mask_token", {{"content", "[GAP]"}});
  EXPECT_THAT(refusal(), HasSubstr("vocab.txt: wanted a piece [GAP], found none"));
  set_tokenizer("mask_token", "[MASK]");
  write("added_tokens.json", R"({"[MASK]": 4, "[NEW]": 330})");
  EXPECT_THAT(refusal(), HasSubstr("'[NEW]': wanted no symbols beside those of the vocabulary"));
  fs::remove(folder_ / "added_tokens.json");
  const std::string pieces = read_file(folder_ / "vocab.txt");
  write("vocab.txt", pieces + "more\n");
  EXPECT_THAT(refusal(), HasSubstr("wanted at most 330 pieces, as config.json has it, found 331"));
  write("vocab.txt", "\xff\n" + pieces);
  EXPECT_THAT(refusal(), HasSubstr("vocab.txt: wanted UTF-8"));
}

// Lines that are missing, empty or twice there leave symbols that no text has.
TEST_F(BertTest, ReadsVocabulariesWithGaps) {
  write("vocab.txt", "[PAD]\r\n[UNK]\r\n[CLS]\r\n[SEP]\r\n[MASK]\r\nsea\r\n\r\nsea\r\n##s");
  const Plan plan = read_plan(folder_);
  const auto model = text::SubwordModel::from_bytes(plan.source_subword, "gaps");
  EXPECT_EQ(model.size(), 330);
  EXPECT_EQ(rows(plan, model.encode("Seas")), (std::vector<int64_t>{7, 8}));
}

}  // namespace
}  // namespace megin::exchange
