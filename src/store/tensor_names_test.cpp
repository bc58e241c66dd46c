#include "store/tensor_names.h"

#include <gtest/gtest.h>

#include <map>

namespace megin::store {
namespace {

using Shape = std::vector<int64_t>;

config::ModelConfig one_layer_each() {
  config::ModelConfig config;
  config.width = 4;
  config.feed_forward = 6;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 1;
  config.source_vocabulary = config.target_vocabulary = 10;
  config.experts.count = 1;
  return config;
}

std::map<std::string, Shape> table(const config::ModelConfig& config) {
  std::map<std::string, Shape> result;
  for (const TensorShape& tensor : tensor_shapes(config)) {
    EXPECT_TRUE(result.emplace(tensor.name, tensor.shape).second) << tensor.name << " stands twice";
  }
  return result;
}

int64_t parameters(const config::ModelConfig& config) {
  int64_t total = 0;
  for (const TensorShape& tensor : tensor_shapes(config)) {
    int64_t count = 1;
    for (const int64_t size : tensor.shape) count *= size;
    total += count;
  }
  return total;
}

TEST(TensorNames, ADensePostNormModelHasTheseTensors) {
  const std::map<std::string, Shape> wanted = {
      {"embedding.weight", {10, 4}},
      {"encoder.layers.0.self_attention.query_key_value.weight", {12, 4}},
      {"encoder.layers.0.self_attention.query_key_value.bias", {12}},
      {"encoder.layers.0.self_attention.output.weight", {4, 4}},
      {"encoder.layers.0.self_attention.output.bias", {4}},
      {"encoder.layers.0.self_attention.norm.weight", {4}},
      {"encoder.layers.0.self_attention.norm.bias", {4}},
      {"encoder.layers.0.feed_forward.fc1.weight", {6, 4}},
      {"encoder.layers.0.feed_forward.fc1.bias", {6}},
      {"encoder.layers.0.feed_forward.fc2.weight", {4, 6}},
      {"encoder.layers.0.feed_forward.fc2.bias", {4}},
      {"encoder.layers.0.feed_forward.norm.weight", {4}},
      {"encoder.layers.0.feed_forward.norm.bias", {4}},
      {"decoder.layers.0.self_attention.query_key_value.weight", {12, 4}},
      {"decoder.layers.0.self_attention.query_key_value.bias", {12}},
      {"decoder.layers.0.self_attention.output.weight", {4, 4}},
      {"decoder.layers.0.self_attention.output.bias", {4}},
      {"decoder.layers.0.self_attention.norm.weight", {4}},
      {"decoder.layers.0.self_attention.norm.bias", {4}},
      {"decoder.layers.0.cross_attention.query.weight", {4, 4}},
      {"decoder.layers.0.cross_attention.query.bias", {4}},
      {"decoder.layers.0.cross_attention.key_value.weight", {8, 4}},
      {"decoder.layers.0.cross_attention.key_value.bias", {8}},
      {"decoder.layers.0.cross_attention.output.weight", {4, 4}},
      {"decoder.layers.0.cross_attention.output.bias", {4}},
      {"decoder.layers.0.cross_attention.norm.weight", {4}},
      {"decoder.layers.0.cross_attention.norm.bias", {4}},
      {"decoder.layers.0.feed_forward.fc1.weight", {6, 4}},
      {"decoder.layers.0.feed_forward.fc1.bias", {6}},
      {"decoder.layers.0.feed_forward.fc2.weight", {4, 6}},
      {"decoder.layers.0.feed_forward.fc2.bias", {4}},
      {"decoder.layers.0.feed_forward.norm.weight", {4}},
      {"decoder.layers.0.feed_forward.norm.bias", {4}},
  };
  EXPECT_EQ(table(one_layer_each()), wanted);
}

TEST(TensorNames, ExpertLayersCarryADimensionOfExperts) {
  config::ModelConfig config = one_layer_each();
  config.encoder_layers = 3;
  config.experts = {.count = 5, .every = 2, .offset = 0};
  const auto tensors = table(config);
  EXPECT_EQ(tensors.at("encoder.layers.0.feed_forward.fc1.weight"), (Shape{5, 6, 4}));
  EXPECT_EQ(tensors.at("encoder.layers.0.feed_forward.fc1.bias"), (Shape{5, 6}));
  EXPECT_EQ(tensors.at("encoder.layers.1.feed_forward.fc1.weight"), (Shape{6, 4}));
  EXPECT_EQ(tensors.at("encoder.layers.2.feed_forward.fc2.weight"), (Shape{5, 4, 6}));
  EXPECT_EQ(tensors.at("encoder.layers.2.feed_forward.fc2.bias"), (Shape{5, 4}));
  EXPECT_EQ(tensors.at("encoder.layers.2.feed_forward.norm.weight"), (Shape{4})) << "norms are shared";
}

TEST(TensorNames, OptionsAddAndRemoveTensors) {
  config::ModelConfig config = one_layer_each();
  config.activation = config::Activation::kSwiglu;
  config.norm = config::NormKind::kRmsNorm;
  config.norm_position = config::NormPosition::kPre;
  config.positions = config::Positions::kLearned;
  config.max_length = 32;
  const auto tensors = table(config);
  EXPECT_EQ(tensors.at("decoder.layers.0.feed_forward.gate.weight"), (Shape{6, 4}));
  EXPECT_EQ(tensors.at("decoder.layers.0.feed_forward.gate.bias"), (Shape{6}));
  EXPECT_EQ(tensors.at("encoder.norm.weight"), (Shape{4}));
  EXPECT_EQ(tensors.at("decoder.norm.weight"), (Shape{4}));
  EXPECT_EQ(tensors.at("encoder.positions.weight"), (Shape{32, 4}));
  EXPECT_EQ(tensors.at("decoder.positions.weight"), (Shape{32, 4}));
  for (const auto& [name, shape] : tensors) EXPECT_FALSE(name.ends_with("norm.bias")) << name;
}

TEST(TensorNames, EmbeddingsFollowWhatIsShared) {
  config::ModelConfig config = one_layer_each();
  config.source_vocabulary = 9;
  config.share_embeddings = config::ShareEmbeddings::kDecoder;
  EXPECT_EQ(table(config).at("source_embedding.weight"), (Shape{9, 4}));
  EXPECT_EQ(table(config).at("target_embedding.weight"), (Shape{10, 4}));
  EXPECT_FALSE(table(config).contains("output.weight"));
  config.share_embeddings = config::ShareEmbeddings::kNone;
  EXPECT_EQ(table(config).at("output.weight"), (Shape{10, 4}));
  EXPECT_FALSE(table(config).contains("embedding.weight"));
  config.share_embeddings = config::ShareEmbeddings::kInputs;
  config.source_vocabulary = 10;
  EXPECT_EQ(table(config).at("embedding.weight"), (Shape{10, 4}));
  EXPECT_EQ(table(config).at("output.weight"), (Shape{10, 4}));
  EXPECT_FALSE(table(config).contains("source_embedding.weight"));
  EXPECT_FALSE(table(config).contains("target_embedding.weight"));
}

// The parameters that transformers counts in t5-small and google/t5-v1_1-small.
TEST(TensorNames, T5HasItsParameterCounts) {
  config::ModelConfig config;
  config.width = 512;
  config.feed_forward = 2048;
  config.heads = 8;
  config.head_width = 64;
  config.encoder_layers = config.decoder_layers = 6;
  config.source_vocabulary = config.target_vocabulary = 32128;
  config.norm = config::NormKind::kRmsNorm;
  config.norm_position = config::NormPosition::kPre;
  config.positions = config::Positions::kBucketed;
  config.biases = false;
  EXPECT_EQ(parameters(config), 60'506'624);
  for (const auto& [name, shape] : table(config)) EXPECT_FALSE(name.ends_with("bias")) << name;
  EXPECT_EQ(table(config).at("decoder.positions.weight"), (Shape{32, 8}));
  config.feed_forward = 1024;
  config.heads = 6;
  config.encoder_layers = config.decoder_layers = 8;
  config.activation = config::Activation::kGegluTanh;
  config.share_embeddings = config::ShareEmbeddings::kInputs;
  EXPECT_EQ(parameters(config), 76'961'152);
}

// thor spec 3.1: parameters without the vocabulary, in millions as printed there.
TEST(TensorNames, PresetsHaveTheirParameterCounts) {
  const auto millions = [](const char* preset) {
    config::ModelConfig config;
    config::apply_model_preset(config, preset);
    config.source_vocabulary = config.target_vocabulary = 0;
    config.experts.count = 1;
    return static_cast<double>(parameters(config)) / 1e6;
  };
  EXPECT_NEAR(millions("iwslt"), 31.5, 0.05);
  EXPECT_NEAR(millions("base"), 44.1, 0.05);
  EXPECT_NEAR(millions("big"), 176.4, 0.05);
  EXPECT_NEAR(millions("multilingual"), 141.8, 0.05);
  EXPECT_NEAR(millions("tiny"), 1.33, 0.005);
}

// "Per extra expert and layer: 2*d*f + d + f" (thor spec 3.1).
TEST(TensorNames, AnExpertAddsItsFeedForwardOnly) {
  config::ModelConfig config = one_layer_each();
  const int64_t dense = parameters(config);
  config.experts = {.count = 3, .every = 1, .offset = 0};
  EXPECT_EQ(parameters(config) - dense, 2 * 2 * (2 * 4 * 6 + 4 + 6));
}

TEST(TensorNames, InsertedExpertsHaveNormsOfTheirOwn) {
  config::ModelConfig config = one_layer_each();
  config.encoder_layers = config.decoder_layers = 2;
  config.experts = {.count = 5,
                    .body = config::ExpertBody::kInsert,
                    .sublayers = 2,
                    .feed_forward = 7,
                    .router = config::RouterKind::kDistilled,
                    .gate = config::Gate::kSigmoid,
                    .distilled_width = 3};
  const auto tensors = table(config);
  EXPECT_EQ(tensors.at("decoder.layers.0.inserted.0.norm.weight"), (Shape{5, 4}));
  EXPECT_EQ(tensors.at("decoder.layers.0.inserted.1.fc1.weight"), (Shape{5, 7, 4}));
  EXPECT_EQ(tensors.at("encoder.layers.0.inserted.1.fc2.bias"), (Shape{5, 4}));
  EXPECT_EQ(tensors.at("encoder.layers.0.inserted.router.weight"), (Shape{5, 4}));
  EXPECT_EQ(tensors.at("decoder.layers.0.inserted.router.centres"), (Shape{5, 3}));
  EXPECT_EQ(tensors.at("decoder.layers.0.feed_forward.fc1.weight"), (Shape{6, 4})) << "the layer's own stays";
  EXPECT_FALSE(tensors.contains("decoder.layers.1.inserted.0.norm.weight"));
  config.experts.count = 1;
  EXPECT_EQ(table(config).at("decoder.layers.0.inserted.0.fc1.weight"), (Shape{7, 4}));
  EXPECT_FALSE(table(config).contains("decoder.layers.0.inserted.router.weight"));
}

TEST(TensorNames, ALanguageModelIsADecoderAlone) {
  config::ModelConfig config = one_layer_each();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  for (const auto share : {config::ShareEmbeddings::kAll, config::ShareEmbeddings::kNone}) {
    config.share_embeddings = share;
    for (const auto& [name, shape] : table(config)) {
      EXPECT_FALSE(name.starts_with("encoder.") || name.starts_with("source_")) << name;
      EXPECT_EQ(name.find("cross_attention"), std::string::npos) << name;
    }
  }
  EXPECT_TRUE(table(config).contains("output.weight"));
}

TEST(TensorNames, AMaskedLanguageModelIsAnEncoderAlone) {
  config::ModelConfig config = one_layer_each();
  config.kind = config::ModelKind::kMaskedLm;
  config.decoder_layers = 0;
  config.norm_embeddings = config.output_transform = config.output_bias = true;
  std::map<std::string, Shape> wanted = {
      {"embedding.weight", {10, 4}},       {"embedding_norm.weight", {4}},
      {"embedding_norm.bias", {4}},        {"output_transform.weight", {4, 4}},
      {"output_transform.bias", {4}},      {"output_transform_norm.weight", {4}},
      {"output_transform_norm.bias", {4}}, {"output.bias", {10}}};
  std::map<std::string, Shape> found = table(config);
  std::erase_if(found, [](const auto& tensor) { return tensor.first.starts_with("encoder.layers.0."); });
  EXPECT_EQ(found, wanted);
  config.share_embeddings = config::ShareEmbeddings::kNone;
  found = table(config);
  EXPECT_TRUE(found.contains("source_embedding.weight") && found.contains("output.weight"));
  EXPECT_FALSE(found.contains("target_embedding.weight"));
  config.norm_embeddings = config.output_transform = false;
  EXPECT_FALSE(table(config).contains("output_transform.weight"));
  EXPECT_FALSE(table(config).contains("embedding_norm.weight"));
}

TEST(TensorNames, OneNormOverEmbeddingsIsTheEncoders) {
  config::ModelConfig config = one_layer_each();
  const size_t plain = table(config).size();
  config.norm_embeddings = true;
  EXPECT_EQ(table(config).size(), plain + 2);
  EXPECT_EQ(table(config).at("embedding_norm.weight"), Shape{4});
  EXPECT_EQ(table(config).at("embedding_norm.bias"), Shape{4});
}

TEST(TensorNames, ScalesTablesByPositionAndLearnedRatesStandWhereTheyAreUsed) {
  config::ModelConfig config = one_layer_each();
  config.max_length = 9;
  config.concrete_dropout = 0.1;
  EXPECT_EQ(table(config).at("decoder.layers.0.feed_forward.dropout.logit"), Shape{1});
  config.concrete_dropout = 0;
  EXPECT_FALSE(table(config).contains("decoder.layers.0.feed_forward.dropout.logit"));
  config.experts = {
      .count = 5, .every = 1, .router = config::RouterKind::kFixed, .active = 5, .scales = true};
  EXPECT_EQ(table(config).at("encoder.layers.0.feed_forward.scale"), Shape{5});
  EXPECT_EQ(scale_name(config, config::Stack::kDecoder, 0), "decoder.layers.0.feed_forward.scale");
  for (const TensorShape& tensor : tensor_shapes(config)) {
    EXPECT_NE(tensor.trained, tensor.name.ends_with(".scale") || tensor.name.ends_with("router.weight"))
        << tensor.name;
    const bool second = tensor.experts > 0 && tensor.name.starts_with("decoder.");
    EXPECT_EQ(tensor.expert_layer, second ? 1 : 0) << tensor.name;
  }
  config.experts = {.count = 5,
                    .every = 1,
                    .router = config::RouterKind::kHash,
                    .active = 2,
                    .hash = config::HashTable::kPosition};
  EXPECT_EQ(table(config).at("encoder.layers.0.feed_forward.router.table"), (Shape{9, 2}));
}

// Behind everything else, so that a language model's tensors are the first of a classifier's.
TEST(TensorNames, AClassifierIsALanguageModelWithAHead) {
  config::ModelConfig config = one_layer_each();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  const auto body = tensor_shapes(config);
  config.classes = 3;
  const auto all = tensor_shapes(config);
  ASSERT_EQ(all.size(), body.size() + 4);
  for (size_t i = 0; i < body.size(); ++i) EXPECT_EQ(all[i].name, body[i].name);
  const auto shapes = table(config);
  EXPECT_EQ(shapes.at("classifier.hidden.weight"), (Shape{4, 4}));
  EXPECT_EQ(shapes.at("classifier.hidden.bias"), (Shape{4}));
  EXPECT_EQ(shapes.at("classifier.output.weight"), (Shape{3, 4}));
  EXPECT_EQ(shapes.at("classifier.output.bias"), (Shape{3}));
}

}  // namespace
}  // namespace megin::store
