#include "expert/expert_layer.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "net/gradient_check.h"
#include "net/initialisation.h"

namespace megin::expert {
namespace {

using routing::Route;

constexpr int64_t kExperts = 3;
const std::string kPrefix = "encoder.layers.0.feed_forward.";

config::ModelConfig small_model() {
  config::ModelConfig config;
  config.width = 8;
  config.feed_forward = 12;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 1;
  config.source_vocabulary = config.target_vocabulary = 20;
  config.activation = config::Activation::kGelu;
  config.experts.count = kExperts;
  return config;
}

class ExpertLayerTest : public testing::Test {
 protected:
  ExpertLayerTest() : config_(small_model()), parameters_(config_), layer_(parameters_, kPrefix, config_) {
    net::initialise(parameters_, config_, 5);
  }

  // Every expert on every token, [N, tokens, d].
  std::vector<at::Tensor> all_outputs(const at::Tensor& x) const {
    std::vector<at::Tensor> outputs;
    for (int64_t e = 0; e < kExperts; ++e) {
      outputs.push_back(net::FeedForward(parameters_, kPrefix, config_, e).forward(x, {}));
    }
    return outputs;
  }

  config::ModelConfig config_;
  net::ParameterMemory parameters_;
  ExpertLayer layer_;
};

// Both forms of grouped rows, and all experts by their gates, without biases.
TEST(ExpertLayer, NeedsNoBiases) {
  config::ModelConfig config = small_model();
  config.activation = config::Activation::kRelu;
  config.biases = false;
  net::ParameterMemory parameters(config);
  net::initialise(parameters, config, 5);
  const ExpertLayer layer(parameters, kPrefix, config);
  const at::Tensor x = net::normal_tensor({7, 8}, 1).requires_grad_(true);
  const at::Tensor gates = net::normal_tensor({7, kExperts}, 2);
  Route all{.kind = Route::Kind::kAll};
  all.gates = gates;
  Route each{.kind = Route::Kind::kPerToken};
  each.experts = at::arange(kExperts, at::kLong).unsqueeze(0).repeat({7, 1});
  each.gates = gates;
  at::Tensor wanted = at::zeros({7, 8});
  for (int64_t e = 0; e < kExperts; ++e) {
    const at::Tensor inner = at::relu(at::matmul(x, parameters.get(kPrefix + "fc1.weight", e).t()));
    wanted =
        wanted + gates.narrow(1, e, 1) * at::matmul(inner, parameters.get(kPrefix + "fc2.weight", e).t());
  }
  const at::Tensor weights = net::normal_tensor({7, 8}, 3);
  const std::vector<at::Tensor> inputs = {x, parameters.get(kPrefix + "fc1.weight", 1),
                                          parameters.get(kPrefix + "fc2.weight", 2)};
  const auto gradients_of = [&](const at::Tensor& y) {
    std::vector<at::Tensor> found;
    for (const at::Tensor& input : inputs) {
      if (input.grad().defined()) input.mutable_grad().zero_();
    }
    (y * weights).sum().backward();
    for (const at::Tensor& input : inputs) found.push_back(input.grad().clone());
    return found;
  };
  const auto wanted_gradients = gradients_of(wanted);
  for (const Route& route : {all, each}) {
    for (const auto operations : {net::Operations(), net::Operations(net::Operations::kPlain)}) {
      const at::Tensor y = layer.forward(x, route, {}, operations);
      EXPECT_TRUE(at::allclose(y, wanted, 1e-5, 1e-5));
      const auto found = gradients_of(y);
      for (size_t i = 0; i < found.size(); ++i) {
        EXPECT_TRUE(at::allclose(found[i], wanted_gradients[i], 1e-4, 1e-5)) << i;
      }
    }
  }
}

// Conformance check 8: sparse dispatch equals computing all experts and masking, with gates and two choices
// too.
TEST_F(ExpertLayerTest, GroupedDispatchEqualsComputeAllThenMask) {
  const at::Tensor x = net::normal_tensor({7, 8}, 1);
  const auto outputs = all_outputs(x);
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::tensor({2, 0, 0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 0}, at::kLong).view({7, 2});
  route.gates = net::normal_tensor({7, 2}, 2);
  at::Tensor expected = at::zeros({7, 8});
  for (int64_t t = 0; t < 7; ++t) {
    for (int64_t c = 0; c < 2; ++c) {
      const auto expert = static_cast<size_t>(route.experts[t][c].item<int64_t>());
      expected[t] += route.gates[t][c] * outputs[expert][t];
    }
  }
  EXPECT_TRUE(at::allclose(layer_.forward(x, route, {}), expected, 1e-5, 1e-6));

  Route single{.kind = Route::Kind::kPerToken};
  single.experts = at::tensor({1, 1, 0, 2, 1, 0, 2}, at::kLong).view({7, 1});
  for (int64_t t = 0; t < 7; ++t)
    expected[t] = outputs[static_cast<size_t>(single.experts[t][0].item<int64_t>())][t];
  EXPECT_TRUE(at::allclose(layer_.forward(x, single, {}), expected, 1e-5, 1e-6));
}

// ReLU has the grouped operation, which must equal the experts one by one: values and all gradients, with an
// expert without rows, one with many, dropped choices and rows without any.
TEST(GroupedFeedForward, EqualsTheExpertsOneByOne) {
  config::ModelConfig config = small_model();
  config.activation = config::Activation::kRelu;
  config.experts.count = 4;
  constexpr int64_t kRows = 700;
  for (const int64_t choices : {1, 2}) {
    std::vector<std::vector<at::Tensor>> found;
    for (const net::Operations form : {net::Operations::kFused, net::Operations::kPlain}) {
      net::ParameterMemory parameters(config);
      net::initialise(parameters, config, 5);
      const ExpertLayer layer(parameters, kPrefix, config);
      at::Tensor x = net::normal_tensor({kRows, 8}, 1).requires_grad_(true);
      at::Tensor gates = net::normal_tensor({kRows, choices}, 2).requires_grad_(true);
      Route route{.kind = Route::Kind::kPerToken, .gates = gates};
      route.experts = at::full({kRows, choices}, Route::kNoExpert, at::kLong);
      for (int64_t row = 0; row < kRows - 10; ++row) {  // expert 1 has no rows
        route.experts[row][0] = row % 7 == 0 ? 3 : 0;
        if (choices == 2 && row % 3 == 0) route.experts[row][1] = 2;
      }
      const at::Tensor y = layer.forward(x, route, {}, form);
      (y * net::normal_tensor({kRows, 8}, 3)).sum().backward();
      found.push_back({y, x.grad(), gates.grad()});
      for (const char* name : {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}) {
        for (const at::Tensor& leaf : parameters.find(kPrefix + name).leaves)
          found.back().push_back(leaf.grad().clone());
      }
      EXPECT_EQ(y.narrow(0, kRows - 10, 10).abs().sum().item<float>(), 0);
      EXPECT_EQ(parameters.get(kPrefix + "fc1.weight", 1).grad().abs().sum().item<float>(), 0);
    }
    for (size_t i = 0; i < found[0].size(); ++i) {
      EXPECT_TRUE(at::allclose(found[0][i], found[1][i], 1e-4, 1e-4)) << i << ", choices " << choices;
    }
  }
}

TEST(GroupedFeedForward, GradientsAreThoseOfFiniteDifferences) {
  config::ModelConfig config = small_model();
  config.activation = config::Activation::kRelu;
  net::ParameterMemory parameters(config);
  net::initialise(parameters, config, 5);
  const ExpertLayer layer(parameters, kPrefix, config);
  at::Tensor x = net::normal_tensor({6, 8}, 8).requires_grad_(true);
  at::Tensor gates = net::normal_tensor({6, 2}, 9).requires_grad_(true);
  Route route{.kind = Route::Kind::kPerToken, .gates = gates};
  route.experts = at::tensor({0, 1, 2, 0, 2, -1, 1, 2, -1, -1, 1, 0}, at::kLong).view({6, 2});
  std::vector<at::Tensor> inputs = {x, gates, parameters.get(kPrefix + "fc1.bias", 2)};
  for (const at::Tensor& leaf : parameters.find(kPrefix + "fc2.weight").leaves) inputs.push_back(leaf);
  net::expect_gradients([&] { return layer.forward(x, route, {}) * 0.3; }, inputs);
}

// With activation dropout about a share p of the inner activations is gone, and the rest scaled up: the mean
// stays. Experts with equal weights make rows comparable.
TEST(GroupedFeedForward, DropsActivationsByTheMask) {
  config::ModelConfig config = small_model();
  config.activation = config::Activation::kRelu;
  net::ParameterMemory parameters(config);
  net::initialise(parameters, config, 5);
  const ExpertLayer layer(parameters, kPrefix, config);
  const at::Tensor x = net::normal_tensor({1, 8}, 8).expand({4000, 8}).contiguous();
  Route route{.kind = Route::Kind::kPerToken};
  route.experts = at::zeros({4000, 1}, at::kLong);
  const at::Tensor clean = layer.forward(x, route, {});
  const at::Tensor dropped = layer.forward(x, route, {.probability = 0.3, .passes = 1, .keys = {7, 0}});
  EXPECT_FALSE(at::allclose(clean, dropped, 1e-2, 1e-2));
  EXPECT_TRUE(at::allclose(dropped.mean(0), clean.mean(0), 0.1, 0.03));
  EXPECT_TRUE(at::equal(dropped, layer.forward(x, route, {.probability = 0.3, .passes = 1, .keys = {7, 0}})));
}

TEST_F(ExpertLayerTest, UniformUsesTheExpertOfEachPass) {
  const at::Tensor x = net::normal_tensor({6, 8}, 3);
  const auto outputs = all_outputs(x);
  const at::Tensor y = layer_.forward(x, {.kind = Route::Kind::kUniform, .uniform = {2, 0}}, {});
  EXPECT_TRUE(at::allclose(y.narrow(0, 0, 3), outputs[2].narrow(0, 0, 3), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(y.narrow(0, 3, 3), outputs[0].narrow(0, 3, 3), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(layer_.forward(x, {.kind = Route::Kind::kUniform, .uniform = {1, 1}}, {}),
                           outputs[1], 1e-5, 1e-6));
}

TEST_F(ExpertLayerTest, AllIsTheMeanOrTheGatedSum) {
  const at::Tensor x = net::normal_tensor({4, 8}, 4);
  const auto outputs = all_outputs(x);
  const at::Tensor mean = (outputs[0] + outputs[1] + outputs[2]) / 3.0;
  EXPECT_TRUE(at::allclose(layer_.forward(x, {.kind = Route::Kind::kAll}, {}), mean, 1e-5, 1e-6));
  Route gated{.kind = Route::Kind::kAll};
  gated.gates = net::normal_tensor({4, 3}, 6);
  at::Tensor sum = at::zeros({4, 8});
  for (int64_t e = 0; e < kExperts; ++e) sum += outputs[static_cast<size_t>(e)] * gated.gates.narrow(1, e, 1);
  EXPECT_TRUE(at::allclose(layer_.forward(x, gated, {}), sum, 1e-5, 1e-6));
}

// smoe_dropout spec 8.1: with all experts chosen the block-scaled product equals meeting them one by one,
// values and gradients, with and without dropout of activations.
TEST_F(ExpertLayerTest, AllByGatesEqualsTheGroupedDispatch) {
  std::vector<std::vector<at::Tensor>> found;
  for (const auto kind : {Route::Kind::kAll, Route::Kind::kPerToken}) {
    at::Tensor x = net::normal_tensor({5, 8}, 4).requires_grad_(true);
    at::Tensor gates = net::normal_tensor({5, 3}, 6).requires_grad_(true);
    Route route{.kind = kind, .gates = gates};
    route.experts = at::arange(3, at::kLong).expand({5, 3}).contiguous();
    for (const char* name : {"fc1.weight", "fc2.weight", "fc2.bias"}) {
      for (const at::Tensor& leaf : parameters_.find(kPrefix + name).leaves) leaf.grad().zero_();
    }
    const at::Tensor y = layer_.forward(x, route, {});
    (y * net::normal_tensor({5, 8}, 3)).sum().backward();
    found.push_back({y, x.grad(), gates.grad()});
    for (const char* name : {"fc1.weight", "fc2.weight", "fc2.bias"}) {
      for (const at::Tensor& leaf : parameters_.find(kPrefix + name).leaves)
        found.back().push_back(leaf.grad().clone());
    }
  }
  for (size_t i = 0; i < found[0].size(); ++i) {
    EXPECT_TRUE(at::allclose(found[0][i], found[1][i], 1e-5, 1e-5)) << i;
  }
  const at::Tensor many = net::normal_tensor({1, 8}, 4).expand({3000, 8}).contiguous();
  Route all{.kind = Route::Kind::kAll, .gates = at::full({3000, 3}, 1.0 / 3)};
  const at::Tensor clean = layer_.forward(many, all, {});
  const at::Tensor dropped = layer_.forward(many, all, {.probability = 0.3, .passes = 1, .keys = {7, 0}});
  EXPECT_FALSE(at::allclose(clean, dropped, 1e-2, 1e-2));
  EXPECT_TRUE(at::allclose(clean.mean(0), dropped.mean(0), 0.1, 0.02));
}

// The fused form against its plain twin, over parts that hold rows of both passes; gates of either sign, and
// one of 0, whose gradient the fused form leaves out.
TEST(ExpertLayer, AllByGatesIsFusedAsThePlainFormHasIt) {
  config::ModelConfig config = small_model();
  config.activation = config::Activation::kRelu;
  net::ParameterMemory parameters(config);
  net::initialise(parameters, config, 5);
  const ExpertLayer layer(parameters, kPrefix, config);
  constexpr int64_t kRows = 1490;
  const net::DropoutMask mask{.probability = 0.3, .passes = 2, .keys = {7, 8}};
  const at::Tensor drawn = net::normal_tensor({kRows, 3}, 6);
  drawn[2][1] = 0;
  std::vector<std::vector<at::Tensor>> found;
  for (const auto& operations : {net::Operations::kPlain, net::Operations::kFused}) {
    at::Tensor x = net::normal_tensor({kRows, 8}, 4).requires_grad_(true);
    at::Tensor gates = drawn.clone().requires_grad_(true);
    std::vector<at::Tensor> weights;
    for (const char* name : {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}) {
      for (const at::Tensor& leaf : parameters.find(kPrefix + name).leaves) {
        if (leaf.grad().defined()) leaf.mutable_grad().zero_();
        weights.push_back(leaf);
      }
    }
    const at::Tensor y = layer.forward(x, {.kind = Route::Kind::kAll, .gates = gates}, mask, operations);
    (y * net::normal_tensor({kRows, 8}, 3)).sum().backward();
    found.push_back({y, x.grad(), gates.grad().clone()});
    for (const at::Tensor& weight : weights) found.back().push_back(weight.grad().clone());
  }
  const at::Tensor gradient = net::normal_tensor({kRows, 8}, 3)[2];
  const float of_bias = at::dot(gradient, parameters.get(kPrefix + "fc2.bias", 1)).item<float>();
  EXPECT_GT(std::abs(found[0][2][2][1].item<float>() - of_bias), 1e-3F);
  found[0][2][2][1] = of_bias;
  for (size_t i = 0; i < found[0].size(); ++i) {
    EXPECT_TRUE(at::allclose(found[0][i], found[1][i], 1e-4, 1e-4))
        << i << ": " << (found[0][i] - found[1][i]).abs().max().item<float>();
  }
}

TEST_F(ExpertLayerTest, OnlyDrawnExpertsGetGradients) {
  const at::Tensor x = net::normal_tensor({6, 8}, 7);
  layer_.forward(x, {.kind = Route::Kind::kUniform, .uniform = {2, 0}}, {}).sum().backward();
  const net::Parameter& weights = parameters_.find(kPrefix + "fc1.weight");
  EXPECT_GT(weights.leaves[0].grad().abs().sum().item<float>(), 0);
  EXPECT_EQ(weights.leaves[1].grad().abs().sum().item<float>(), 0);
  EXPECT_GT(weights.leaves[2].grad().abs().sum().item<float>(), 0);
}

TEST_F(ExpertLayerTest, GradientsOfEveryPathAreRight) {
  at::Tensor x = net::normal_tensor({6, 8}, 8).requires_grad_(true);
  std::vector<at::Tensor> inputs = {x};
  for (const at::Tensor& leaf : parameters_.find(kPrefix + "fc2.weight").leaves) inputs.push_back(leaf);
  Route grouped{.kind = Route::Kind::kPerToken};
  grouped.experts = at::tensor({0, 1, 2, 2, 1, 1}, at::kLong).view({6, 1});
  at::Tensor gates = net::normal_tensor({6, 1}, 9).requires_grad_(true);
  grouped.gates = gates;
  std::vector<at::Tensor> with_gates = inputs;
  with_gates.push_back(gates);
  net::expect_gradients([&] { return layer_.forward(x, grouped, {}); }, with_gates);
  net::expect_gradients([&] { return layer_.forward(x, {.kind = Route::Kind::kAll}, {}); }, inputs);
}

}  // namespace
}  // namespace megin::expert
