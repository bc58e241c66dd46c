// Finite-difference gradient checks of each block.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>

#include "net/attention.h"
#include "net/dropout.h"
#include "net/feed_forward.h"
#include "net/gradient_check.h"
#include "net/initialisation.h"
#include "net/norm.h"

namespace megin::net {
namespace {

config::ModelConfig small_model() {
  config::ModelConfig config;
  config.width = 8;
  config.feed_forward = 12;
  config.heads = 2;
  config.encoder_layers = config.decoder_layers = 1;
  config.source_vocabulary = config.target_vocabulary = 20;
  return config;
}

std::vector<at::Tensor> with_parameters(std::vector<at::Tensor> inputs, const ParameterMemory& parameters,
                                        const std::string& prefix) {
  for (const Parameter& p : parameters.all()) {
    if (p.name.starts_with(prefix) && p.name.find(".norm.") == std::string::npos)
      inputs.push_back(p.leaves[0]);
  }
  return inputs;
}

TEST(Gradients, OfNorms) {
  for (const auto kind : {config::NormKind::kLayerNorm, config::NormKind::kRmsNorm}) {
    config::ModelConfig config = small_model();
    config.norm = kind;
    ParameterMemory parameters(config);
    initialise(parameters, config, 1);
    const std::string prefix = "encoder.layers.0.feed_forward.norm.";
    const Norm norm(parameters, prefix, config);
    at::Tensor x = normal_tensor({5, 8}, 1).requires_grad_(true);
    std::vector<at::Tensor> inputs = {x, parameters.get(prefix + "weight")};
    if (kind == config::NormKind::kLayerNorm) inputs.push_back(parameters.get(prefix + "bias"));
    expect_gradients([&] { return norm.forward(x, Operations::kPlain); }, inputs);
  }
}

TEST(Gradients, OfFeedForwardsWithDropout) {
  using config::Activation;
  // ReLU's kink is left to the smooth ones' shared code and to the layer tests: a difference across it is no
  // derivative.
  for (const auto activation : {Activation::kGelu, Activation::kSilu, Activation::kGeluTanh,
                                Activation::kGeglu, Activation::kSwiglu, Activation::kGegluTanh}) {
    config::ModelConfig config = small_model();
    config.activation = activation;
    config.biases = activation != Activation::kGegluTanh;
    ParameterMemory parameters(config);
    initialise(parameters, config, 2);
    const std::string prefix = "encoder.layers.0.feed_forward.";
    const FeedForward feed_forward(parameters, prefix, config);
    at::Tensor x = normal_tensor({5, 8}, 2).requires_grad_(true);
    const DropoutMask mask{.probability = 0.3, .passes = 1, .keys = {9, 0}};
    expect_gradients([&] { return feed_forward.forward(x, mask); }, with_parameters({x}, parameters, prefix));
  }
}

TEST(Gradients, OfSelfAttention) {
  for (const auto positions : {config::Positions::kSinusoidal, config::Positions::kRotary}) {
    config::ModelConfig config = small_model();
    config.positions = positions;
    ParameterMemory parameters(config);
    initialise(parameters, config, 3);
    const std::string prefix = "encoder.layers.0.self_attention.";
    const SelfAttention attention(parameters, prefix, config);
    at::Tensor x = normal_tensor({2 * 4, 8}, 3).requires_grad_(true);
    const at::Tensor mask =
        at::full({4, 4}, -std::numeric_limits<float>::infinity(), at::kFloat).triu(1);  // causal
    const DropoutMask probabilities{.probability = 0.2, .passes = 1, .keys = {4, 0}};
    expect_gradients(
        [&] {
          return attention.forward({x, {2, 4}, mask}, probabilities);
        },
        with_parameters({x}, parameters, prefix));
  }
}

TEST(Gradients, OfSelfAttentionWithABiasByDistance) {
  config::ModelConfig config = small_model();
  config.positions = config::Positions::kBucketed;
  config.head_width = 3;
  config.scale_attention = config.biases = false;
  ParameterMemory parameters(config);
  initialise(parameters, config, 3);
  const std::string prefix = "encoder.layers.0.self_attention.";
  const SelfAttention attention(parameters, prefix, config);
  at::Tensor x = normal_tensor({2 * 4, 8}, 3).requires_grad_(true);
  at::Tensor bias = normal_tensor({2, 7}, 4).requires_grad_(true);
  const at::Tensor mask = at::zeros({4, 4});
  const DropoutMask probabilities{.probability = 0.2, .passes = 1, .keys = {4, 0}};
  const auto inputs = with_parameters({x, bias}, parameters, prefix);
  ASSERT_EQ(inputs.size(), 4U) << "no biases of linear layers";
  expect_gradients(
      [&] {
        return attention.forward({.x = x, .shape = {2, 4}, .mask = mask, .position_bias = bias},
                                 probabilities);
      },
      inputs);
}

TEST(Gradients, OfCrossAttention) {
  const config::ModelConfig config = small_model();
  ParameterMemory parameters(config);
  initialise(parameters, config, 4);
  const std::string prefix = "decoder.layers.0.cross_attention.";
  const CrossAttention attention(parameters, prefix, config);
  at::Tensor x = normal_tensor({2 * 3, 8}, 4).requires_grad_(true);
  at::Tensor memory = normal_tensor({2 * 4, 8}, 5).requires_grad_(true);
  at::Tensor mask = at::zeros({2, 1, 1, 4});
  mask[1][0][0][3] = -std::numeric_limits<float>::infinity();  // the second source has three tokens
  expect_gradients(
      [&] {
        return attention.forward({x, {2, 3}, memory, 4, mask}, {});
      },
      with_parameters({x, memory}, parameters, prefix));
}

}  // namespace
}  // namespace megin::net
