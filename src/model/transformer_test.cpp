#include "model/transformer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "net/gradient_check.h"
#include "net/initialisation.h"

namespace megin::model {
namespace {

config::ModelConfig small_model(int64_t experts = 2) {
  config::ModelConfig config;
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 2;
  config.dropout = 0.2;
  config.attention_dropout = 0.1;
  config.activation_dropout = 0.1;
  config.max_length = 32;
  config.source_vocabulary = config.target_vocabulary = 30;
  config.experts.count = experts;
  return config;
}

data::MemoryExamples two_pairs() {
  data::MemoryExamples examples;
  examples.add({5, 6, 7, 8}, {9, 10});
  examples.add({11, 12}, {13, 14, 15, 16, 17});
  return examples;
}

data::TokenBatch batch_of(std::vector<int64_t> indices) {
  return data::make_batch(two_pairs(), indices);
}

struct Initialised {
  explicit Initialised(const config::ModelConfig& config, uint64_t seed = 1) : model(config) {
    net::initialise(model.parameters(), config, seed);
  }
  at::Tensor operator()(const data::TokenBatch& batch, const net::ForwardContext& context) const {
    return model.forward(batch, context);
  }
  Transformer model;
};

std::vector<config::ModelConfig> variants() {
  std::vector<config::ModelConfig> all(6, small_model());
  all[1].norm_position = config::NormPosition::kPre;
  all[1].positions = config::Positions::kRotary;
  all[2].norm = config::NormKind::kRmsNorm;
  all[2].activation = config::Activation::kSwiglu;
  all[3].positions = config::Positions::kLearned;
  all[3].share_embeddings = config::ShareEmbeddings::kDecoder;
  all[4].share_embeddings = config::ShareEmbeddings::kNone;
  all[4].experts.every = 1;
  all[5].norm = config::NormKind::kRmsNorm;
  all[5].norm_position = config::NormPosition::kPre;
  all[5].positions = config::Positions::kBucketed;
  all[5].position_buckets = 6;
  all[5].position_distance = 4;
  all[5].activation = config::Activation::kGegluTanh;
  all[5].scale_attention = all[5].biases = false;
  all[5].scale_output = true;
  return all;
}

TEST(Transformer, PassesAsOneBatchAreThePassesOneByOne) {
  for (const auto& config : variants()) {
    const Initialised model(config);
    const auto batch = batch_of({0, 1});
    for (uint64_t update = 0; update < 4; ++update) {  // other draws of experts
      const net::ForwardContext both{.training = true, .update = update, .passes = 2};
      const at::Tensor states = model(batch, both);
      for (int64_t pass = 0; pass < 2; ++pass) {
        net::ForwardContext one = both;
        one.passes = 1;
        one.first_pass = pass;
        const at::Tensor alone = model(batch, one);
        EXPECT_TRUE(at::allclose(states.chunk(2)[pass], alone, 1e-5, 1e-5)) << update;
      }
      EXPECT_FALSE(at::allclose(states.chunk(2)[0], states.chunk(2)[1], 1e-3, 1e-3));
    }
  }
}

TEST(Transformer, PaddingAndNeighboursDoNotChangeASentence) {
  for (const auto& config : variants()) {
    const Initialised model(config);
    const net::ForwardContext evaluation{.dispatch = config::parse_dispatch("sentence", 4)};
    const at::Tensor together = model(batch_of({0, 1}), evaluation);
    const at::Tensor first = model(batch_of({0}), evaluation), second = model(batch_of({1}), evaluation);
    EXPECT_TRUE(at::allclose(together.narrow(0, 0, 3), first, 1e-5, 1e-5));
    EXPECT_TRUE(at::allclose(together.narrow(0, 6, 6), second, 1e-5, 1e-5));
  }
}

TEST(Transformer, TheDecoderDoesNotLookAhead) {
  const Initialised model(small_model());
  data::MemoryExamples examples;
  examples.add({5, 6}, {9, 10, 11, 12});
  examples.add({5, 6}, {9, 10, 20, 21});
  const net::ForwardContext evaluation{.dispatch = config::parse_dispatch("batch", 1)};
  const at::Tensor states = model(data::make_batch(examples, std::vector<int64_t>{0, 1}), evaluation);
  EXPECT_TRUE(at::allclose(states.narrow(0, 0, 3), states.narrow(0, 5, 3), 1e-6, 1e-6));
  EXPECT_FALSE(at::allclose(states.narrow(0, 3, 1), states.narrow(0, 8, 1), 1e-3, 1e-3));
}

TEST(Transformer, ALanguageModelReadsNothingButWhatStandsBefore) {
  config::ModelConfig config = small_model();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  for (const auto body : {config::ExpertBody::kReplace, config::ExpertBody::kInsert}) {
    config.experts = {
        .count = 3, .body = body, .router = config::RouterKind::kTopK, .gate = config::Gate::kSoftmax};
    const Initialised model(config);
    data::TokenBatch batch;
    batch.sentences = 2;
    batch.target_length = 5;
    batch.target_input = {2, 9, 10, 11, 12, 2, 9, 10, 20, 21};
    batch.sentence = {0, 1};
    const at::Tensor states = model(batch, {.dispatch = config::parse_dispatch("router", 1)});
    EXPECT_TRUE(at::allclose(states.narrow(0, 0, 3), states.narrow(0, 5, 3), 1e-6, 1e-6));
    EXPECT_FALSE(at::allclose(states.narrow(0, 3, 1), states.narrow(0, 8, 1), 1e-3, 1e-3));
  }
}

TEST(Transformer, InsertedExpertsLearnFromEveryPass) {
  config::ModelConfig config = small_model(3);
  config.activation = config::Activation::kGelu;
  config.experts.body = config::ExpertBody::kInsert;
  const Initialised model(config);
  const auto batch = batch_of({0, 1});
  const net::ForwardContext training{.training = true, .update = 2, .passes = 2};
  const at::Tensor both = model(batch, training);
  for (int64_t pass = 0; pass < 2; ++pass) {
    net::ForwardContext one = training;
    one.passes = 1;
    one.first_pass = pass;
    EXPECT_TRUE(at::allclose(both.chunk(2)[pass], model(batch, one), 1e-5, 1e-5));
  }
  const net::ParameterMemory& parameters = model.model.parameters();
  std::vector<at::Tensor> leaves;
  for (const int64_t expert : model.model.drawn_experts(training, 0)) {
    const bool decoder = !leaves.empty();
    leaves.push_back(parameters.get(
        std::string(decoder ? "decoder" : "encoder") + ".layers.0.inserted.0.fc2.weight", expert));
  }
  ASSERT_EQ(leaves.size(), 2U);
  net::expect_gradients([&] { return model(batch, training) * 0.3; }, leaves);
}

void make_experts_equal(Transformer& model) {
  for (const net::Parameter& p : model.parameters().all()) {
    if (p.experts == 0) continue;
    const auto values = model.parameters().values_of(p);
    const size_t size = values.size() / p.experts;
    for (int64_t e = 1; e < p.experts; ++e) std::copy_n(values.begin(), size, values.begin() + e * size);
  }
}

// Conformance check 2: equal experts without dropout make the passes and all dispatch modes equal.
TEST(Transformer, EqualExpertsGiveEqualPassesAndModes) {
  config::ModelConfig config = small_model(3);
  config.dropout = config.attention_dropout = config.activation_dropout = 0;
  Initialised model(config);
  make_experts_equal(model.model);
  const auto batch = batch_of({0, 1});
  const at::Tensor two = model(batch, {.training = true, .update = 5, .passes = 2});
  EXPECT_TRUE(at::allclose(two.chunk(2)[0], two.chunk(2)[1], 1e-6, 1e-6));
  const at::Tensor expected = model(batch, {.dispatch = config::parse_dispatch("path:0", 1)});
  for (const char* mode : {"sentence", "token", "position", "batch", "ensemble", "path:2"}) {
    EXPECT_TRUE(
        at::allclose(model(batch, {.dispatch = config::parse_dispatch(mode, 9)}), expected, 1e-5, 1e-5))
        << mode;
  }
}

// Conformance check 1: one expert is the dense model: same values, same dropout, same states, whatever the
// mode.
TEST(Transformer, OneExpertIsTheDenseModelBitForBit) {
  config::ModelConfig thor = small_model(1), dense = small_model(1);
  thor.experts.every = 1;
  const Initialised a(thor), b(dense);
  const auto batch = batch_of({0, 1});
  const net::ForwardContext training{.training = true, .update = 3, .passes = 2};
  EXPECT_TRUE(at::equal(a(batch, training), b(batch, training)));
  const at::Tensor sentence = a(batch, {.dispatch = config::parse_dispatch("sentence", 1)});
  EXPECT_TRUE(at::equal(a(batch, {.dispatch = config::parse_dispatch("ensemble", 1)}), sentence));
}

TEST(Transformer, SharedDropoutMakesPassesDifferByExpertsAlone) {
  const Initialised model(small_model(1));
  const at::Tensor states = model(batch_of({0, 1}), {.training = true, .passes = 2, .shared_dropout = true});
  // Not to the bit: a matrix product may round a row by its place in the matrix.
  EXPECT_TRUE(at::allclose(states.chunk(2)[0], states.chunk(2)[1], 1e-6, 1e-6));
}

TEST(Transformer, GradientsReachEveryParameterOfTheDrawnExperts) {
  for (auto config : variants()) {
    config.activation =
        config.activation == config::Activation::kRelu ? config::Activation::kGelu : config.activation;
    const Initialised model(config);
    const auto batch = batch_of({0, 1});
    const net::ForwardContext training{.training = true, .update = 2, .passes = 2};
    std::vector<at::Tensor> leaves;
    const auto drawn = model.model.drawn_experts(training, 0);
    const net::ParameterMemory& parameters = model.model.parameters();
    leaves.push_back(parameters.get("encoder.layers.1.self_attention.query_key_value.weight"));
    leaves.push_back(parameters.get("decoder.layers.0.cross_attention.key_value.weight"));
    leaves.push_back(parameters.get("encoder.layers.0.feed_forward.fc1.weight", drawn.at(0)));
    leaves.push_back(parameters.get("decoder.layers.0.feed_forward.norm.weight"));
    if (config.positions == config::Positions::kBucketed) {
      leaves.push_back(parameters.get("encoder.positions.weight"));
      leaves.push_back(parameters.get("decoder.positions.weight"));
    }
    // One direction over a whole model in fp32: a smaller direction keeps it in the linear range.
    net::expect_gradients([&] { return model(batch, training) * 0.3; }, leaves);
  }
}

}  // namespace
}  // namespace megin::model
