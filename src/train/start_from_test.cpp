#include "train/start_from.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <memory>

#include "base/error.h"
#include "base/files.h"
#include "store/model_directory.h"
#include "text/vocabulary.h"
#include "train/run_directory.h"
#include "train/trainer_fixture.h"

namespace megin::train {
namespace {

namespace fs = std::filesystem;
using config::ModelConfig;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::ThrowsMessage;

class StartFromTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    data_.folder = "prepared";
    data_.source_subword = data_.target_subword = subwords("source", "ab ba abba", 13);
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::shared_ptr<const text::SubwordModel> subwords(const std::string& name, const std::string& text,
                                                     int64_t symbols) const {
    text::SubwordTraining training;
    training.config.vocabulary = symbols;
    training.config.byte_fallback = false;
    training.config.mask_symbol = true;
    int line = 0;
    write_file_atomically(folder_ / name, text::train_subword(training, [&](std::string& sentence) {
                            sentence = line % 2 == 0 ? text : "cd dc cddc";
                            return ++line < 40;
                          }));
    return std::make_shared<const text::SubwordModel>(folder_ / name);
  }

  ModelConfig encoder_decoder() const {
    ModelConfig config = small_model(1);
    config.positions = config::Positions::kLearned;
    config.activation = config::Activation::kGelu;
    config.scale_embeddings = false;
    config.norm_embeddings = true;
    config.source_vocabulary = data_.source_subword->size();
    config.target_vocabulary = data_.target_subword->size();
    return config;
  }
  static ModelConfig masked(ModelConfig config) {
    config.kind = config::ModelKind::kMaskedLm;
    config.decoder_layers = 0;
    config.target_vocabulary = config.source_vocabulary;
    config.share_embeddings = config::ShareEmbeddings::kAll;
    config.initialisation = config::Initialisation::kNormal;
    config.output_transform = config.output_bias = true;
    config.begin_vector = false;
    return config;
  }
  // A model directory with values that no other seed draws, norms and biases too.
  std::unique_ptr<model::Transformer> write(const ModelConfig& config) const {
    auto model = std::make_unique<model::Transformer>(config);
    net::initialise(model->parameters(), config, 7);
    const auto values = model->parameters().values();
    for (size_t i = 0; i < values.size(); ++i) values[i] += 0.001F * static_cast<float>(i % 13);
    store::ModelDescription description;
    description.model = config;
    store::write_model_directory(folder_ / "from", description, tensor_views(model->parameters(), values, ""),
                                 {.source = folder_ / "source", .target = folder_ / "source"});
    return model;
  }
  // What is told of it.
  std::string begin(TrainingState& state) const {
    std::string told;
    Console console({.write = [&told](std::string_view text) { told += text; }, .width = [] { return 80; }});
    start_from(folder_ / "from", data_, state, console);
    return told;
  }
  static TrainingState fresh(const ModelConfig& config) {
    config::RunConfig run;
    run.model = config;
    return TrainingState(run);
  }
  static std::vector<float> values(const model::Transformer& model, const std::string& name) {
    const auto found = model.parameters().values_of(model.parameters().find(name));
    return {found.begin(), found.end()};
  }

  fs::path folder_;
  data::PreparedData data_;
};

// The encoders compute the same to the last bit, and nothing else is taken.
void expect_encoder_of(const model::Transformer& masked, const TrainingState& state,
                       const ModelConfig& config) {
  const data::TokenBatch batch = [] {
    data::MemoryExamples examples;
    examples.add({5, 6, 7, 8, 4}, {5});
    examples.add({9, 4}, {6, 7});
    return data::make_batch(examples, std::vector<int64_t>{0, 1});
  }();
  const net::ForwardContext context{.dispatch = config::parse_dispatch("router", 1)};
  const at::NoGradGuard no_gradients;
  EXPECT_TRUE(at::equal(state.model.encode(batch, context), masked.forward(batch, context)));
  const TrainingState drawn = [&] {
    config::RunConfig run;
    run.model = config;
    return TrainingState(run);
  }();
  for (const net::Parameter& parameter : state.model.parameters().all()) {
    if (!parameter.name.starts_with("decoder.") && !parameter.name.starts_with("target_")) continue;
    const auto found = state.model.parameters().values_of(parameter);
    const auto wanted = drawn.model.parameters().values_of(drawn.model.parameters().find(parameter.name));
    EXPECT_TRUE(std::ranges::equal(found, wanted)) << parameter.name;
  }
}

TEST_F(StartFromTest, AnEncoderDecoderBeginsWithTheEncoderOfAMaskedLm) {
  const ModelConfig config = encoder_decoder();
  const auto from = write(masked(config));
  TrainingState state = fresh(config);
  const std::string told = begin(state);
  expect_encoder_of(*from, state, config);
  for (const net::Parameter& parameter : from->parameters().all()) {
    const std::string& name = parameter.name;
    if (name.starts_with("output")) continue;
    EXPECT_EQ(values(state.model, name), values(*from, name)) << name;
  }
  EXPECT_THAT(told, HasSubstr("begins with the encoder of " + (folder_ / "from").string() +
                              ", a masked_lm; the decoder is drawn but for the embedding that both share"));
  EXPECT_THAT(told, HasSubstr("not used of it: output_transform.weight"));
  EXPECT_THAT(told, AllOf(Not(HasSubstr("other than")), Not(HasSubstr("drawn, as"))));
}

TEST_F(StartFromTest, TheTargetMayHaveAVocabularyOfItsOwn) {
  data_.target_subword = subwords("target", "+ - number", 16);
  data_.joint = false;
  ModelConfig config = encoder_decoder();
  config.share_embeddings = config::ShareEmbeddings::kDecoder;
  config.begin_vector = true;
  const auto from = write(masked(config));
  TrainingState state = fresh(config);
  EXPECT_THAT(begin(state), HasSubstr("a masked_lm; the decoder is drawn\n"));
  expect_encoder_of(*from, state, config);
  EXPECT_EQ(values(state.model, "source_embedding.weight"), values(*from, "embedding.weight"));

  data_.source_subword = data_.target_subword;
  EXPECT_THAT([&] { begin(state); }, ThrowsMessage<Error>(HasSubstr("its subwords are not those of")));
}

TEST_F(StartFromTest, ExpertsOfTheEncoderComeAlong) {
  ModelConfig config = encoder_decoder();
  config.experts = {.count = 4,
                    .every = 1,
                    .feed_forward = 6,
                    .router = config::RouterKind::kFixed,
                    .active = 4,
                    .gate = config::Gate::kMean};
  const auto from = write(masked(config));
  TrainingState state = fresh(config);
  const std::string told = begin(state);
  expect_encoder_of(*from, state, config);
  EXPECT_THAT(told, Not(HasSubstr("router")));
}

TEST_F(StartFromTest, AnotherEncoderIsRefused) {
  const ModelConfig config = encoder_decoder();
  write(masked(config));
  ModelConfig other = config;
  other.norm_embeddings = false;
  other.encoder_layers = 1;
  other.decoder_layers = 1;  // of which the masked_lm says nothing
  TrainingState state = fresh(other);
  EXPECT_THAT([&] { begin(state); },
              ThrowsMessage<Error>(HasSubstr("its encoder differs from the recipe's in model.encoder_layers, "
                                             "model.norm_embeddings; they must be the same")));
}

}  // namespace
}  // namespace megin::train
