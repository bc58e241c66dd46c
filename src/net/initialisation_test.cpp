#include "net/initialisation.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace megin::net {
namespace {

config::ModelConfig small_model(int64_t experts) {
  config::ModelConfig config;
  config.width = 32;
  config.feed_forward = 64;
  config.heads = 4;
  config.encoder_layers = config.decoder_layers = 2;
  config.source_vocabulary = config.target_vocabulary = 200;
  config.experts.count = experts;
  return config;
}

struct Moments {
  double mean = 0, deviation = 0, largest = 0;
};

Moments moments_of(std::span<const float> values) {
  Moments m;
  for (const float x : values) {
    m.mean += x / values.size();
    m.largest = std::max<double>(m.largest, std::abs(x));
  }
  for (const float x : values) m.deviation += (x - m.mean) * (x - m.mean) / values.size();
  m.deviation = std::sqrt(m.deviation);
  return m;
}

class Initialisation : public testing::Test {
 protected:
  Initialisation() : config_(small_model(2)), parameters_(config_) { initialise(parameters_, config_, 3); }
  std::span<const float> values(const std::string& name) const {
    return parameters_.values_of(parameters_.find(name));
  }
  // A uniform distribution within +-bound: deviation bound / sqrt(3), largest close to the bound.
  void expect_uniform(const std::string& name, double bound) const {
    const Moments m = moments_of(values(name));
    EXPECT_LE(m.largest, bound) << name;
    EXPECT_GT(m.largest, 0.9 * bound) << name;
    EXPECT_NEAR(m.deviation, bound / std::sqrt(3.0), 0.1 * bound) << name;
  }

  config::ModelConfig config_;
  ParameterMemory parameters_;
};

TEST_F(Initialisation, FollowsFairseq) {
  const Moments embedding = moments_of(values("embedding.weight"));
  EXPECT_NEAR(embedding.deviation, 1 / std::sqrt(32.0), 0.01);
  const auto pad = values("embedding.weight").subspan(32, 32);
  EXPECT_TRUE(std::ranges::all_of(pad, [](float x) { return x == 0; }));
  expect_uniform("encoder.layers.0.self_attention.query_key_value.weight",
                 std::sqrt(6.0 / 64) / std::sqrt(2.0));
  expect_uniform("encoder.layers.0.self_attention.query_key_value.bias", 1 / std::sqrt(32.0));
  expect_uniform("decoder.layers.1.cross_attention.output.weight", std::sqrt(6.0 / 64));
  EXPECT_EQ(moments_of(values("decoder.layers.1.cross_attention.output.bias")).largest, 0);
  expect_uniform("encoder.layers.0.feed_forward.fc1.weight", 1 / std::sqrt(32.0));
  expect_uniform("encoder.layers.0.feed_forward.fc2.weight", 1 / std::sqrt(64.0));
  expect_uniform("encoder.layers.1.feed_forward.fc2.bias", 1 / std::sqrt(64.0));
  EXPECT_EQ(moments_of(values("encoder.layers.0.feed_forward.norm.weight")).mean, 1);
  EXPECT_EQ(moments_of(values("encoder.layers.0.feed_forward.norm.bias")).largest, 0);
}

TEST_F(Initialisation, ExpertsDifferAndTheRestIsThatOfOtherModels) {
  const auto experts = values("encoder.layers.0.feed_forward.fc1.weight");
  EXPECT_FALSE(std::ranges::equal(experts.first(experts.size() / 2), experts.last(experts.size() / 2)));
  ParameterMemory dense(small_model(1));
  initialise(dense, small_model(1), 3);
  const auto shared = dense.values_of(dense.find("decoder.layers.0.cross_attention.query.weight"));
  EXPECT_TRUE(std::ranges::equal(shared, values("decoder.layers.0.cross_attention.query.weight")));
  const auto first = dense.values_of(dense.find("encoder.layers.0.feed_forward.fc1.weight"));
  EXPECT_TRUE(std::ranges::equal(first, experts.first(experts.size() / 2)));
}

// Rows of norm 0.1 at right angles, and columns where there are more rows (Lewis et al. 2021).
TEST(InitialisationOfRouters, BaseStartsOrthogonalAndOthersSmall) {
  for (const int64_t experts : {4, 64}) {
    config::ModelConfig config = small_model(experts);
    config.experts.router = config::RouterKind::kBase;
    config.experts.gate = config::Gate::kSigmoid;
    ParameterMemory parameters(config);
    initialise(parameters, config, 3);
    const at::Tensor weight = parameters.get("encoder.layers.0.feed_forward.router.weight").detach();
    const bool by_row = experts <= config.width;
    const at::Tensor products = by_row ? at::matmul(weight, weight.t()) : at::matmul(weight.t(), weight);
    EXPECT_TRUE(at::allclose(products, at::eye(products.size(0)) * 0.01, 1e-4, 1e-6));
  }
  config::ModelConfig config = small_model(64);
  config.experts.router = config::RouterKind::kTopK;
  config.experts.gate = config::Gate::kSoftmax;
  config.experts.noisy = true;
  ParameterMemory parameters(config);
  initialise(parameters, config, 3);
  const at::Tensor weight = parameters.get("encoder.layers.0.feed_forward.router.weight").detach();
  EXPECT_NEAR(weight.std().item<double>(), std::sqrt(0.1 / 32), 0.003);
  EXPECT_EQ(parameters.get("encoder.layers.0.feed_forward.router.noise").abs().max().item<float>(), 0);
}

// Every decoder of a mixture begins as a dense model's does: its last norm too.
TEST(InitialisationOfMixtures, AllNormsBeginAsOneAndZero) {
  config::ModelConfig config = small_model(1);
  config.norm_position = config::NormPosition::kPre;
  config.mixture = {.components = 3, .kind = config::MixtureKind::kDecoder};
  ParameterMemory parameters(config);
  initialise(parameters, config, 3);
  int64_t last_norms = 0;
  for (const Parameter& parameter : parameters.all()) {
    const auto values = parameters.values_of(parameter);
    const bool weight = parameter.name.ends_with("norm.weight"), bias = parameter.name.ends_with("norm.bias");
    if (!weight && !bias) continue;
    last_norms += parameter.name.find("layers") == std::string::npos;
    EXPECT_TRUE(std::ranges::all_of(values, [&](float v) { return v == (weight ? 1.0F : 0.0F); }))
        << parameter.name;
  }
  EXPECT_EQ(last_norms, 2 * (1 + 3)) << "of the encoder and of three decoders, weight and bias";
  // The gate as linear layers begin, U(-1/sqrt(d), 1/sqrt(d)).
  const Moments prior = moments_of(parameters.values_of(parameters.find("mixture.prior.hidden.weight")));
  EXPECT_LE(prior.largest, 1 / std::sqrt(32.0));
  EXPECT_NEAR(prior.deviation, 1 / std::sqrt(3 * 32.0), 0.01);
}

}  // namespace
}  // namespace megin::net
