// Encoder-only models on the training side: what is before and behind the layers, and what a row may see.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/output_transform.h"
#include "model/token_embedding.h"
#include "model/transformer.h"
#include "net/gradient_check.h"
#include "net/initialisation.h"

namespace megin::model {
namespace {

config::ModelConfig masked_model() {
  config::ModelConfig config;
  config.kind = config::ModelKind::kMaskedLm;
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 2;
  config.encoder_layers = 2;
  config.decoder_layers = 0;
  config.dropout = 0.2;
  config.max_length = 8;
  config.activation = config::Activation::kGelu;
  config.positions = config::Positions::kLearned;
  config.scale_embeddings = false;
  config.norm_embeddings = config.output_transform = config.output_bias = true;
  config.source_vocabulary = config.target_vocabulary = 30;
  return config;
}

// Rows of 6 and 4 tokens.
data::TokenBatch two_rows() {
  data::TokenBatch batch;
  batch.sentences = 2;
  batch.source_length = batch.target_length = 6;
  batch.source = {0, 9, 10, 11, 12, 2, 0, 13, 14, 2, 1, 1};
  batch.target_output = {1, 9, 1, 11, 1, 1, 1, 1, 15, 1, 1, 1};
  batch.sentence = {0, 1};
  batch.source_tokens = 10;
  batch.target_tokens = 3;
  return batch;
}

struct Initialised {
  explicit Initialised(const config::ModelConfig& config) : model(config) {
    net::initialise(model.parameters(), config, 3);
  }
  Transformer model;
};

TEST(OutputTransform, IsALinearLayerItsActivationAndANorm) {
  const config::ModelConfig config = masked_model();
  net::ParameterMemory parameters(config);
  net::initialise(parameters, config, 1);
  const OutputTransform transform(parameters, config);
  const at::Tensor x = net::normal_tensor({3, 16}, 5);
  const at::Tensor found = transform.forward(x, net::Operations::kPlain).detach();
  const at::Tensor weight = parameters.get("output_transform.weight").detach().to(at::kDouble);
  const at::Tensor bias = parameters.get("output_transform.bias").detach().to(at::kDouble);
  const at::Tensor gain = parameters.get("output_transform_norm.weight").detach().to(at::kDouble);
  const at::Tensor shift = parameters.get("output_transform_norm.bias").detach().to(at::kDouble);
  for (int64_t r = 0; r < 3; ++r) {
    std::vector<double> h(16);
    double mean = 0, square = 0;
    for (int64_t o = 0; o < 16; ++o) {
      double sum = bias[o].item<double>();
      for (int64_t i = 0; i < 16; ++i) sum += x[r][i].item<double>() * weight[o][i].item<double>();
      h[o] = 0.5 * sum * std::erfc(-sum / std::sqrt(2.0));
      mean += h[o] / 16;
    }
    for (const double value : h) square += (value - mean) * (value - mean) / 16;
    for (int64_t o = 0; o < 16; ++o) {
      const double wanted = (h[o] - mean) / std::sqrt(square + config.norm_epsilon) * gain[o].item<double>() +
                            shift[o].item<double>();
      EXPECT_NEAR(found[r][o].item<double>(), wanted, 1e-5) << r << " " << o;
    }
  }
  EXPECT_TRUE(at::allclose(transform.forward(x, {}), found, 1e-5, 1e-5)) << "fused";
}

TEST(OutputTransform, HasTheGradientsOfItsFormula) {
  for (const auto activation : {config::Activation::kGelu, config::Activation::kSilu}) {
    for (const auto norm : {config::NormKind::kLayerNorm, config::NormKind::kRmsNorm}) {
      config::ModelConfig config = masked_model();
      config.activation = activation;
      config.norm = norm;
      net::ParameterMemory parameters(config);
      net::initialise(parameters, config, 2);
      {
        // Of a size at which the norm behind is nearly straight within a step of the check.
        const at::NoGradGuard no_gradients;
        at::Tensor weight = parameters.get("output_transform.weight");
        weight.copy_(net::normal_tensor(weight.sizes(), 5));
      }
      const OutputTransform transform(parameters, config);
      at::Tensor x = net::normal_tensor({5, 16}, 6).requires_grad_(true);
      std::vector<at::Tensor> inputs = {x};
      for (const net::Parameter& p : parameters.all()) {
        if (p.name.starts_with("output_transform")) inputs.push_back(p.leaves[0]);
      }
      EXPECT_EQ(inputs.size(), norm == config::NormKind::kLayerNorm ? 5U : 4U);
      net::expect_gradients([&] { return transform.forward(x, net::Operations::kPlain); }, inputs);
      net::expect_gradients([&] { return transform.forward(x, {}); }, inputs);
    }
  }
}

TEST(TokenEmbedding, NormsTheSumOfEmbeddingAndPosition) {
  const config::ModelConfig config = masked_model();
  net::ParameterMemory parameters(config);
  net::initialise(parameters, config, 3);
  const TokenEmbedding embedding(parameters, "embedding.weight", config::Stack::kEncoder, config);
  const at::Tensor ids = at::tensor({5, 6, 1, 7, 8, 9}, at::kLong).view({2, 3});
  const at::Tensor found = embedding.forward(ids, {}).view({2, 3, 16});
  const at::Tensor sum = at::embedding(parameters.get("embedding.weight"), ids) +
                         parameters.get("encoder.positions.weight").narrow(0, 0, 3);
  const at::Tensor wanted = at::layer_norm(sum, {16}, parameters.get("embedding_norm.weight"),
                                           parameters.get("embedding_norm.bias"), config.norm_epsilon);
  EXPECT_TRUE(at::allclose(found[1], wanted[1], 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(found[0].narrow(0, 0, 2), wanted[0].narrow(0, 0, 2), 1e-5, 1e-5));
  EXPECT_EQ(found[0][2].abs().sum().item<float>(), 0) << "padding stays zero";
  net::expect_gradients([&] { return embedding.forward(ids, {}); },
                        {parameters.get("embedding.weight"), parameters.get("encoder.positions.weight"),
                         parameters.get("embedding_norm.weight"), parameters.get("embedding_norm.bias")});
}

TEST(MaskedModel, ATokenSeesItsWholeRowAndNoOther) {
  for (const auto position : {config::NormPosition::kPost, config::NormPosition::kPre}) {
    config::ModelConfig config = masked_model();
    config.norm_position = position;
    const Initialised made(config);
    const net::ForwardContext evaluation{};
    const data::TokenBatch batch = two_rows();
    const at::Tensor states = made.model.forward(batch, evaluation);
    ASSERT_EQ(states.sizes(), (std::vector<int64_t>{12, 16}));
    data::TokenBatch other = batch;
    other.source[5] = 20;
    const at::Tensor changed = made.model.forward(other, evaluation);
    EXPECT_FALSE(at::allclose(changed.narrow(0, 0, 1), states.narrow(0, 0, 1), 1e-4, 1e-4)) << "looks ahead";
    EXPECT_TRUE(at::equal(changed.narrow(0, 6, 4), states.narrow(0, 6, 4)));
    data::TokenBatch alone;
    alone.sentences = 1;
    alone.source_length = alone.target_length = 4;
    alone.source = {0, 13, 14, 2};
    alone.sentence = {1};
    EXPECT_TRUE(at::allclose(made.model.forward(alone, evaluation), states.narrow(0, 6, 4), 1e-5, 1e-5))
        << "padding changes nothing";
  }
}

TEST(MaskedModel, PassesAsOneBatchAreThePassesOneByOne) {
  config::ModelConfig config = masked_model();
  config.experts = {.count = 3, .every = 1};
  const Initialised made(config);
  const net::ForwardContext both{.training = true, .update = 2, .passes = 2};
  const at::Tensor states = made.model.forward(two_rows(), both);
  for (int64_t pass = 0; pass < 2; ++pass) {
    net::ForwardContext one = both;
    one.passes = 1;
    one.first_pass = pass;
    EXPECT_TRUE(at::allclose(states.chunk(2)[pass], made.model.forward(two_rows(), one), 1e-5, 1e-5));
  }
  EXPECT_EQ(made.model.drawn_experts(both, 0).size(), 2U);
}

}  // namespace
}  // namespace megin::model
