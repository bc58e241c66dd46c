#include "expert/residual_experts.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "net/gradient_check.h"
#include "net/initialisation.h"

namespace megin::expert {
namespace {

using routing::Route;

constexpr int64_t kExperts = 3;
const std::string kPrefix = "encoder.layers.0.inserted.";

config::ModelConfig small_model() {
  config::ModelConfig config;
  config.width = 8;
  config.feed_forward = 12;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 2;
  config.source_vocabulary = config.target_vocabulary = 20;
  config.experts = {
      .count = kExperts, .body = config::ExpertBody::kInsert, .sublayers = 2, .feed_forward = 10};
  return config;
}

class ResidualExpertsTest : public testing::Test {
 protected:
  ResidualExpertsTest()
      : config_(small_model()), parameters_(config_), layer_(parameters_, kPrefix, config_) {
    // Experts begin alike and as the identity, nearly: other numbers, so that they can be told apart.
    for (const net::Parameter& parameter : parameters_.all()) {
      const at::Tensor drawn =
          net::normal_tensor({parameter.size}, static_cast<uint64_t>(parameter.offset) + 3);
      const auto values = parameters_.values_of(parameter);
      for (size_t i = 0; i < values.size(); ++i)
        values[i] = 0.4f * drawn[static_cast<int64_t>(i)].item<float>();
    }
  }

  // x <- x + W2 relu(W1 norm(x)), sublayer after sublayer, of each expert: from the formula.
  std::vector<at::Tensor> all_outputs(const at::Tensor& x) const {
    std::vector<at::Tensor> outputs;
    for (int64_t e = 0; e < kExperts; ++e) {
      at::Tensor h = x;
      for (const char* sublayer : {"0.", "1."}) {
        const auto get = [&](const char* name) { return parameters_.get(kPrefix + sublayer + name, e); };
        const at::Tensor mean = h.mean(1, true);
        const at::Tensor deviation = ((h - mean).square().mean(1, true) + 1e-5).sqrt();
        const at::Tensor normed = (h - mean) / deviation * get("norm.weight") + get("norm.bias");
        const at::Tensor inner = (at::matmul(normed, get("fc1.weight").t()) + get("fc1.bias")).clamp_min(0);
        h = h + at::matmul(inner, get("fc2.weight").t()) + get("fc2.bias");
      }
      outputs.push_back(h);
    }
    return outputs;
  }

  config::ModelConfig config_;
  net::ParameterMemory parameters_;
  ResidualExperts layer_;
};

// stablemoe spec 1.2: out = alpha E(h) + (1 - alpha) h; with two choices the sum of both changes.
TEST_F(ResidualExpertsTest, MixesInputAndOutputByTheGate) {
  const at::NoGradGuard no_gradients;
  const at::Tensor x = net::normal_tensor({5, 8}, 1);
  const auto outputs = all_outputs(x);
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::tensor({2, 0, 0, 1, 2, -1, -1, -1, 1, 0}, at::kLong).view({5, 2});
  route.gates = net::normal_tensor({5, 2}, 2).sigmoid();
  const at::Tensor found = layer_.forward(x, route, {}, {});
  for (int64_t t = 0; t < 5; ++t) {
    at::Tensor wanted = x[t].clone();
    for (int64_t c = 0; c < 2; ++c) {
      const auto expert = route.experts[t][c].item<int64_t>();
      if (expert < 0) continue;
      wanted += route.gates[t][c] * (outputs[static_cast<size_t>(expert)][t] - x[t]);
    }
    EXPECT_TRUE(at::allclose(found[t], wanted, 1e-5, 1e-5)) << t;
  }
  EXPECT_TRUE(at::equal(found[3], x[3])) << "a token without an expert passes as it is";
}

TEST_F(ResidualExpertsTest, WithoutAGateTheOutputIsTheExperts) {
  const at::NoGradGuard no_gradients;
  const at::Tensor x = net::normal_tensor({4, 8}, 1);
  const auto outputs = all_outputs(x);
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::tensor({1, 1, 0, 1}, at::kLong).view({4, 1});  // expert 2 has no rows
  const at::Tensor found = layer_.forward(x, route, {}, {});
  for (int64_t t = 0; t < 4; ++t) {
    EXPECT_TRUE(at::allclose(found[t], outputs[t == 2 ? 0 : 1][t], 1e-5, 1e-5)) << t;
  }
  const at::Tensor uniform = layer_.forward(x, {.kind = Route::Kind::kUniform, .uniform = {2, 0}}, {}, {});
  EXPECT_TRUE(at::allclose(uniform[0], outputs[2][0], 1e-5, 1e-5));
  EXPECT_TRUE(at::allclose(uniform[3], outputs[0][3], 1e-5, 1e-5));
  const at::Tensor mean = layer_.forward(x, {.kind = Route::Kind::kAll}, {}, {});
  EXPECT_TRUE(at::allclose(mean, (outputs[0] + outputs[1] + outputs[2]) / 3.0, 1e-5, 1e-5));
  Route nobody{.kind = Route::Kind::kPerToken};
  nobody.experts = at::full({4, 1}, Route::kNoExpert, at::kLong);
  EXPECT_TRUE(at::equal(layer_.forward(x, nobody, {}, {}), x));
}

TEST_F(ResidualExpertsTest, PlainOperationsAreTheTwin) {
  at::Tensor x = net::normal_tensor({40, 8}, 1);
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::arange(40, at::kLong).remainder(3).view({40, 1});
  route.gates = net::normal_tensor({40, 1}, 2).sigmoid();
  const at::Tensor fused = layer_.forward(x, route, {}, net::Operations::kFused);
  const at::Tensor plain = layer_.forward(x, route, {}, net::Operations::kPlain);
  EXPECT_TRUE(at::allclose(fused, plain, 1e-5, 1e-5));
}

TEST_F(ResidualExpertsTest, GradientsAreThoseOfFiniteDifferences) {
  at::Tensor x = net::normal_tensor({6, 8}, 8).requires_grad_(true);
  at::Tensor gates = net::normal_tensor({6, 2}, 9).sigmoid().requires_grad_(true);
  Route route{.kind = Route::Kind::kPerToken, .gates = gates};
  route.experts = at::tensor({0, 1, 2, 0, 2, -1, 1, 2, -1, -1, 1, 0}, at::kLong).view({6, 2});
  std::vector<at::Tensor> inputs = {x, gates, parameters_.get(kPrefix + "1.norm.bias", 2)};
  for (const at::Tensor& leaf : parameters_.find(kPrefix + "0.fc2.weight").leaves) inputs.push_back(leaf);
  net::expect_gradients([&] { return layer_.forward(x, route, {}, {}) * 0.3; }, inputs);
}

// Another mask for every sublayer and expert, and the same ones again for the same keys.
TEST_F(ResidualExpertsTest, DropsByTheMask) {
  const at::NoGradGuard no_gradients;
  const at::Tensor x = net::normal_tensor({1, 8}, 8).expand({60, 8}).contiguous();
  const ResidualDropout dropout{.output = {.probability = 0.5, .passes = 1, .keys = {7, 0}}};
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::arange(60, at::kLong).remainder(3).view({60, 1});
  const at::Tensor once = layer_.forward(x, route, dropout, {});
  EXPECT_TRUE(at::equal(once, layer_.forward(x, route, dropout, {})));
  EXPECT_FALSE(at::allclose(once, layer_.forward(x, route, {}, {}), 1e-2, 1e-2));
  const at::Tensor one = layer_.forward_one(x, 1, dropout, {}), other = layer_.forward_one(x, 2, dropout, {});
  EXPECT_TRUE(
      at::equal(one, layer_.forward(x, {.kind = Route::Kind::kUniform, .uniform = {1}}, dropout, {})));
  EXPECT_FALSE(at::allclose(one, other, 1e-2, 1e-2));
}

// stablemoe spec 1.1: a fresh expert is its input plus a small constant, and all begin alike.
TEST(ResidualExpertsStart, IsAlikeAndNearlyTheIdentity) {
  const config::ModelConfig config = small_model();
  net::ParameterMemory parameters(config);
  net::initialise(parameters, config, 5);
  const ResidualExperts layer(parameters, kPrefix, config);
  const at::NoGradGuard no_gradients;
  const at::Tensor x = net::normal_tensor({4, 8}, 1);
  const at::Tensor first = layer.forward_one(x, 0, {}, {}), third = layer.forward_one(x, 2, {}, {});
  EXPECT_TRUE(at::equal(first, third));
  const at::Tensor change = first - x;
  EXPECT_TRUE(at::allclose(change, change[0].expand_as(change), 1e-5, 1e-6));
  EXPECT_LT(change.abs().max().item<float>(), 2.0f / std::sqrt(10.0f));
  EXPECT_GT(change.abs().max().item<float>(), 0);
}

}  // namespace
}  // namespace megin::expert
