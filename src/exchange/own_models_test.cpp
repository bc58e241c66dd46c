// Models that were not imported, as checkpoints of transformers and back: every tensor bit for bit, every
// symbol in its place. (That logits are the same is held in cli/export_command_test.cpp, where models run.)
#include "exchange/own_models.h"

#include <map>

#include "exchange/exchange_fixture.h"
#include "exchange/model_exchange.h"
#include "store/sinusoid.h"
#include "store/toy_model_files.h"
#include "text/subword.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

class OwnModelsTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = fs::path(testing::TempDir()) /
            (std::string("megin_own_") + testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::remove_all(root_);
    fs::create_directories(root_);
    text::SubwordTraining training;
    training.config.vocabulary = 12;
    training.config.byte_fallback = false;
    int line = 0;
    write_file_atomically(root_ / "subword", text::train_subword(training, [&line](std::string& sentence) {
                            sentence = line % 2 == 0 ? "ab ba abba" : "cd dc cddc";
                            return ++line < 40;
                          }));
    description_ = store::toy_description();
    description_.tags.clear();
    config::ModelConfig& model = description_.model;
    model.max_length = 7;
    model.source_vocabulary = model.target_vocabulary = text::SubwordModel(root_ / "subword").size();
  }
  void TearDown() override { fs::remove_all(root_); }

  store::ModelDirectory write(const std::string& name) const {
    const auto tensors = store::toy_tensors(description_.model, 0.25F);
    store::write_model_directory(root_ / name, description_, store::views(tensors),
                                 {.source = root_ / "subword", .target = root_ / "subword"});
    return store::open_model_directory(root_ / name);
  }
  std::string refusal(const std::function<void(config::ModelConfig&)>& change) {
    const store::ModelDescription before = description_;
    change(description_.model);
    std::string found = "nothing refused";
    try {
      export_own_model(write("changed"), root_ / "out");
    } catch (const UsageError& error) {
      found = error.what();
    }
    description_ = before;
    return found;
  }
  static std::vector<float> values(const store::ModelDirectory& model, const std::string& name) {
    const auto found = store::float_values(model.weights.at(name));
    return {found.begin(), found.end()};
  }

  fs::path root_;
  store::ModelDescription description_;
};

TEST_F(OwnModelsTest, TranslationModelsAreMarianModels) {
  const store::ModelDirectory own = write("own");
  EXPECT_EQ(export_own_model(own, root_ / "marian"), "marian");
  const auto config = nlohmann::json::parse(read_file(root_ / "marian" / "config.json"));
  EXPECT_EQ(config.at("decoder_start_token_id"), 2) << "the decoder begins with the end mark";
  EXPECT_EQ(config.at("encoder_ffn_dim"), 6);
  EXPECT_EQ(config.at("activation_function"), "relu");
  EXPECT_EQ(config.at("scale_embedding"), true);
  const auto vocabulary = nlohmann::json::parse(read_file(root_ / "marian" / "vocab.json"));
  const text::SubwordModel subword(root_ / "subword");
  for (int32_t id = 0; id < subword.size(); ++id) EXPECT_EQ(vocabulary.at(subword.piece(id)), id);
  EXPECT_EQ(read_file(root_ / "marian" / "source.spm"), read_file(root_ / "subword"));
  const SourceTensors theirs(root_ / "marian");
  EXPECT_EQ(theirs.all().at("model.shared.weight").read(), values(own, "embedding.weight"));
  EXPECT_EQ(theirs.all().at("model.encoder.embed_positions.weight").read(),
            store::sinusoidal_positions(7, 4));
  EXPECT_EQ(theirs.all().at("final_logits_bias").read(), std::vector<float>(subword.size(), 0.0F));

  import_model(root_ / "marian", root_ / "again");
  const store::ModelDirectory again = store::open_model_directory(root_ / "again");
  EXPECT_FALSE(again.description.model.begin_vector);
  EXPECT_EQ(again.description.source_language, "en");
  for (const store::TensorView& tensor : own.weights.tensors()) {
    EXPECT_EQ(values(again, tensor.name), values(own, tensor.name)) << tensor.name;
  }
  const text::SubwordModel source(again.subwords.source), target(again.subwords.target);
  for (const char* const line : {"ab ba cddc", "dcdc abab x", ""}) {
    EXPECT_EQ(source.encode(line), subword.encode(line)) << line;
    EXPECT_EQ(target.encode(line), subword.encode(line)) << line;
  }
}

// It begins otherwise than Marian's models do, which nobody sees of its tensors.
TEST_F(OwnModelsTest, HowValuesBeganIsNoSetting) {
  description_.model.initialisation = config::Initialisation::kNormal;
  description_.model.experts.every = 1;
  description_.model.experts.feed_forward = 3;
  const store::ModelDirectory own = write("own");
  EXPECT_EQ(export_own_model(own, root_ / "marian"), "marian");
  import_model(root_ / "marian", root_ / "again");
  EXPECT_EQ(values(store::open_model_directory(root_ / "again"), "embedding.weight"),
            values(own, "embedding.weight"));
}

TEST_F(OwnModelsTest, WhatMarianModelsDoNotHaveIsNamed) {
  using config::ModelConfig;
  EXPECT_THAT(
      refusal([](ModelConfig& m) { m.norm_position = config::NormPosition::kPre; }),
      HasSubstr("model.norm_position: wanted post, as marian models of transformers have it, found pre"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.norm = config::NormKind::kRmsNorm; }),
              HasSubstr("model.norm: "));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.activation = config::Activation::kSwiglu; }),
              HasSubstr("model.activation: wanted one without a gate"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.positions = config::Positions::kRotary; }),
              HasSubstr("model.positions: wanted sinusoidal or learned"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.share_embeddings = config::ShareEmbeddings::kDecoder; }),
              HasSubstr("model.share_embeddings: wanted all"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.norm_epsilon = 1e-6; }), HasSubstr("model.norm_epsilon"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.begin_vector = true; }), HasSubstr("model.begin_vector"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.norm_embeddings = true; }), HasSubstr("model.norm_embeddings"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.head_width = 4; }), HasSubstr("model.head_width"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.experts = {.count = 2, .every = 1}; }),
              HasSubstr("wanted a dense model, found one with experts, for which marian models of "
                        "transformers have no form; megin export --all (or --path, --mean) first makes"));
  // Of a model that was trained from an imported T5 that would be the wrong question.
  EXPECT_THAT(refusal([](ModelConfig& m) { m.norm = config::NormKind::kRmsNorm; }),
              HasSubstr("--files names that one's imported/ or checkpoint"));
  EXPECT_THAT(refusal([](ModelConfig& m) { m.kind = config::ModelKind::kMaskedLm, m.decoder_layers = 0; }),
              HasSubstr("--files"));
  description_.tags = {"<2de>"};
  EXPECT_THAT(refusal([](ModelConfig&) {}), HasSubstr("found <2de>"));
  EXPECT_FALSE(fs::exists(root_ / "out"));
}

TEST_F(OwnModelsTest, LanguageModelsNeedBytePairs) {
  config::ModelConfig& model = description_.model;
  model.kind = config::ModelKind::kCausalLm;
  model.encoder_layers = 0;
  model.norm_position = config::NormPosition::kPre;
  model.positions = config::Positions::kLearned;
  EXPECT_THAT(refusal([](config::ModelConfig&) {}),
              HasSubstr("model.scale_embeddings: wanted false, as gpt2 models of transformers have it"));
  model.scale_embeddings = false;
  EXPECT_THAT(refusal([](config::ModelConfig&) {}), HasSubstr("wanted a vocabulary of byte pairs"));
}

// A tokenizer from elsewhere, and a model of megin's own over it.
TEST_F(OwnModelsTest, LanguageModelsOverBytePairsAreGpt2Models) {
  import_model(fs::path(MEGIN_TEST_FILES) / "gpt2", root_ / "gpt2");
  const store::ModelDirectory imported = store::open_model_directory(root_ / "gpt2");
  fs::copy_file(imported.subwords.source, root_ / "subword", fs::copy_options::overwrite_existing);
  config::ModelConfig& model = description_.model;
  model.kind = config::ModelKind::kCausalLm;
  model.encoder_layers = 0;
  model.decoder_layers = 2;
  model.norm_position = config::NormPosition::kPre;
  model.positions = config::Positions::kLearned;
  model.scale_embeddings = false;
  model.activation = config::Activation::kGelu;
  model.norm_epsilon = 1e-6;
  model.source_vocabulary = model.target_vocabulary = imported.description.model.target_vocabulary;
  const store::ModelDirectory own = write("own");
  EXPECT_EQ(export_own_model(own, root_ / "out"), "gpt2");
  const auto config = nlohmann::json::parse(read_file(root_ / "out" / "config.json"));
  EXPECT_EQ(config.at("vocab_size"), model.target_vocabulary) << "special symbols have rows, too";
  EXPECT_EQ(config.at("eos_token_id"), 400);
  import_model(root_ / "out", root_ / "again");
  const store::ModelDirectory again = store::open_model_directory(root_ / "again");
  EXPECT_EQ(read_file(again.subwords.source), read_file(root_ / "subword"));
  for (const store::TensorView& tensor : own.weights.tensors()) {
    EXPECT_EQ(values(again, tensor.name), values(own, tensor.name)) << tensor.name;
  }
  EXPECT_EQ(values(again, "output.bias"),
            std::vector<float>(static_cast<size_t>(model.target_vocabulary), 0.0F));
}

// Without its files, an imported model is written all the same, symbols that it never had left out.
TEST_F(OwnModelsTest, AnImportedLanguageModelNeedsNoFiles) {
  const fs::path source = fs::path(MEGIN_TEST_FILES) / "gpt2";
  import_model(source, root_ / "gpt2");
  EXPECT_EQ(export_own_model(store::open_model_directory(root_ / "gpt2"), root_ / "out"), "gpt2");
  EXPECT_EQ(nlohmann::json::parse(read_file(root_ / "out" / "vocab.json")),
            nlohmann::json::parse(read_file(source / "vocab.json")));
  const SourceTensors before(source), after(root_ / "out");
  ASSERT_EQ(after.all().size(), before.all().size());
  for (const auto& [name, tensor] : before.all())
    EXPECT_EQ(after.all().at(name).read(), tensor.read()) << name;
}

}  // namespace
}  // namespace megin::exchange
