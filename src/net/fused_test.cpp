// Each fused operation against its plain twin: values and every gradient.
//
// Bounds: both forms round dot products of at most 64 terms of size about 1 in fp32, 64 * 2^-24 ~ 4e-6, and
// pass them through a softmax or a norm whose derivative is about 1; 1e-4 leaves room for a few such steps in
// a row.
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/highway_test_targets.h"
#include "net/attention.h"
#include "net/dropout.h"
#include "net/feed_forward.h"
#include "net/gradient_check.h"
#include "net/initialisation.h"
#include "net/linear.h"
#include "net/norm.h"
#include "net/relative_attention.h"

namespace megin::net {
namespace {

constexpr double kBound = 1e-4;

config::ModelConfig model_of_width(int64_t width) {
  config::ModelConfig config;
  config.width = width;
  config.feed_forward = 2 * width;
  config.heads = 4;
  config.encoder_layers = config.decoder_layers = 1;
  config.source_vocabulary = config.target_vocabulary = 20;
  return config;
}

// The gradients of sum(y * weights) with respect to the inputs.
std::vector<at::Tensor> gradients_of(const at::Tensor& y, const at::Tensor& weights,
                                     std::vector<at::Tensor> inputs) {
  for (at::Tensor& input : inputs) {
    if (input.grad().defined()) input.mutable_grad().zero_();
  }
  (y * weights).sum().backward();
  std::vector<at::Tensor> gradients;
  for (const at::Tensor& input : inputs) gradients.push_back(input.grad().clone());
  return gradients;
}

void expect_equal(const std::vector<at::Tensor>& a, const std::vector<at::Tensor>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_TRUE(at::allclose(a[i], b[i], kBound, kBound))
        << i << ": " << (a[i] - b[i]).abs().max().item<float>();
  }
}

// [sentences * length, 1]: one for a real position, zero for padding.
at::Tensor real_rows(const std::vector<int64_t>& lengths, int64_t length) {
  at::Tensor rows = at::zeros({static_cast<int64_t>(lengths.size()), length, 1});
  for (size_t b = 0; b < lengths.size(); ++b) rows[static_cast<int64_t>(b)].narrow(0, 0, lengths[b]).fill_(1);
  return rows.view({-1, 1});
}

at::Tensor padding_mask(const std::vector<int64_t>& lengths, int64_t length) {
  return (1 - real_rows(lengths, length).view({-1, 1, 1, length}))
      .masked_fill(real_rows(lengths, length).view({-1, 1, 1, length}).eq(0),
                   -std::numeric_limits<float>::infinity())
      .nan_to_num(0, 0, -std::numeric_limits<float>::infinity());
}

class Fused : public OnEachTarget {};
MEGIN_ON_EACH_TARGET(Fused);

// The long ones are of several blocks of rows and columns, of which a causal mask hides some whole, others in
// part.
TEST_P(Fused, SelfAttentionEqualsThePlainForm) {
  struct Case {
    int64_t width;
    std::vector<int64_t> lengths;  // of the first sentence: of all
  };
  for (const bool causal : {false, true}) {
    for (const auto& [width, lengths] :
         {Case{16, {7, 1, 4}}, Case{128, {7, 1, 4}}, Case{32, {150, 67, 64}}}) {
      const int64_t length = lengths[0];
      const config::ModelConfig config = model_of_width(width);
      ParameterMemory parameters(config);
      initialise(parameters, config, 3);
      const std::string prefix = "encoder.layers.0.self_attention.";
      const SelfAttention attention(parameters, prefix, config);
      auto shape = std::make_shared<FusedAttentionShape>(FusedAttentionShape{
          .sentences = 3, .heads = 4, .queries = length, .keys = length, .causal = causal});
      shape->query_lengths = shape->key_lengths = lengths;
      at::Tensor mask = padding_mask(lengths, length);
      if (causal) mask = mask + at::full({length, length}, -std::numeric_limits<float>::infinity()).triu(1);
      at::Tensor x = normal_tensor({3 * length, width}, 5).requires_grad_(true);
      std::vector<at::Tensor> inputs = {x, parameters.get(prefix + "query_key_value.weight"),
                                        parameters.get(prefix + "query_key_value.bias"),
                                        parameters.get(prefix + "output.weight")};
      const at::Tensor weights = normal_tensor({3 * length, width}, 6) * real_rows(lengths, length);
      const at::Tensor plain = attention.forward({x, {3, length}, mask}, {});
      const auto plain_gradients = gradients_of(plain, weights, inputs);
      const at::Tensor fused = attention.forward({x, {3, length}, mask, shape}, {});
      expect_equal({fused * real_rows(lengths, length)}, {plain * real_rows(lengths, length)});
      expect_equal(gradients_of(fused, weights, inputs), plain_gradients);
    }
  }
}

// Lengths that fill no whole vectors and some that do; two passes with distances of their own.
TEST_P(Fused, RelativeAttentionEqualsThePlainForm) {
  config::ModelConfig config = model_of_width(16);
  config.kind = config::ModelKind::kCausalLm;
  config.positions = config::Positions::kRelative;
  config.encoder_layers = 0;
  ParameterMemory parameters(config);
  initialise(parameters, config, 3);
  for (const char* bias : {"content_bias", "distance_bias"}) {
    const at::NoGradGuard no_gradients;
    parameters.get(std::string("decoder.relative.") + bias).copy_(normal_tensor({16}, bias[0], 0.5));
  }
  const std::string prefix = "decoder.layers.0.self_attention.";
  const RelativeSelfAttention attention(parameters, prefix, config);
  for (const auto& [length, remembered] :
       {std::pair<int64_t, int64_t>{1, 0}, {5, 16}, {16, 16}, {19, 7}, {12, 0}, {130, 73}}) {
    at::Tensor x = normal_tensor({4 * length, 16}, 5).requires_grad_(true);
    at::Tensor distances = normal_tensor({2, remembered + length, 16}, 6).requires_grad_(true);
    const at::Tensor past = normal_tensor({4, remembered, 16}, 7);
    const at::Tensor weights = normal_tensor({4 * length, 16}, 8);
    std::vector<at::Tensor> inputs = {x, distances};
    for (const char* name : {"query_key_value.weight", "distance.weight", "output.weight"})
      inputs.push_back(parameters.get(prefix + name));
    for (const char* name : {"content_bias", "distance_bias"})
      inputs.push_back(parameters.get(std::string("decoder.relative.") + name));
    const auto forward = [&](const Operations& operations) {
      return attention.forward({x, {4, length}, past, distances, operations}, {});
    };
    const at::Tensor plain = forward(Operations::kPlain), fused = forward(Operations::kFused);
    expect_equal({fused}, {plain});
    expect_equal(gradients_of(fused, weights, inputs), gradients_of(plain, weights, inputs));
  }
}

// The bias has a place for each offset, and lengths differ, so that some places get nothing.
TEST_P(Fused, SelfAttentionWithABiasByDistanceEqualsThePlainForm) {
  for (const bool causal : {false, true}) {
    for (const bool scaled : {false, true}) {
      config::ModelConfig config = model_of_width(16);
      config.head_width = 6;
      config.biases = false;
      config.scale_attention = scaled;
      ParameterMemory parameters(config);
      initialise(parameters, config, 3);
      const std::string prefix = "encoder.layers.0.self_attention.";
      const SelfAttention attention(parameters, prefix, config);
      const std::vector<int64_t> lengths = {7, 1, 4};
      auto shape = std::make_shared<FusedAttentionShape>(FusedAttentionShape{
          .sentences = 3, .heads = 4, .queries = 7, .keys = 7, .causal = causal, .scaled = scaled});
      shape->query_lengths = shape->key_lengths = lengths;
      at::Tensor mask = padding_mask(lengths, 7);
      if (causal) mask = mask + at::full({7, 7}, -std::numeric_limits<float>::infinity()).triu(1);
      at::Tensor x = normal_tensor({21, 16}, 5).requires_grad_(true);
      at::Tensor bias = normal_tensor({4, 13}, 8).requires_grad_(true);
      std::vector<at::Tensor> inputs = {x, bias, parameters.get(prefix + "query_key_value.weight"),
                                        parameters.get(prefix + "output.weight")};
      const at::Tensor weights = normal_tensor({21, 16}, 6) * real_rows(lengths, 7);
      const auto run = [&](std::shared_ptr<const FusedAttentionShape> fused) {
        return attention.forward(
            {.x = x, .shape = {3, 7}, .mask = mask, .fused = std::move(fused), .position_bias = bias}, {});
      };
      const at::Tensor plain = run(nullptr);
      const auto plain_gradients = gradients_of(plain, weights, inputs);
      const at::Tensor fused = run(shape);
      expect_equal({fused * real_rows(lengths, 7)}, {plain * real_rows(lengths, 7)});
      expect_equal(gradients_of(fused, weights, inputs), plain_gradients);
      EXPECT_GT(plain_gradients[1].abs().max().item<float>(), 1e-3);
    }
  }
}

TEST_P(Fused, CrossAttentionEqualsThePlainForm) {
  const config::ModelConfig config = model_of_width(32);
  ParameterMemory parameters(config);
  initialise(parameters, config, 4);
  const std::string prefix = "decoder.layers.0.cross_attention.";
  const CrossAttention attention(parameters, prefix, config);
  const std::vector<int64_t> sources = {5, 2}, targets = {3, 4};
  auto shape = std::make_shared<FusedAttentionShape>(
      FusedAttentionShape{.sentences = 2, .heads = 4, .queries = 4, .keys = 5, .causal = false});
  shape->query_lengths = targets;
  shape->key_lengths = sources;
  const at::Tensor mask = padding_mask(sources, 5);
  at::Tensor x = normal_tensor({8, 32}, 7).requires_grad_(true);
  at::Tensor memory = normal_tensor({10, 32}, 8, 30.0).requires_grad_(true);  // extreme scores
  std::vector<at::Tensor> inputs = {x, memory, parameters.get(prefix + "key_value.weight"),
                                    parameters.get(prefix + "query.weight")};
  const at::Tensor weights = normal_tensor({8, 32}, 9) * real_rows(targets, 4) * 0.01;
  const at::Tensor plain = attention.forward({x, {2, 4}, memory, 5, mask}, {});
  const auto plain_gradients = gradients_of(plain, weights, inputs);
  const at::Tensor fused = attention.forward({x, {2, 4}, memory, 5, mask, shape}, {});
  // Values and scores are 30 times larger here.
  EXPECT_TRUE(
      at::allclose(fused * real_rows(targets, 4), plain * real_rows(targets, 4), kBound, 30 * kBound));
  const auto fused_gradients = gradients_of(fused, weights, inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_TRUE(at::allclose(fused_gradients[i], plain_gradients[i], 1e-3, 30 * kBound)) << i;
  }
}

TEST_P(Fused, LinearEqualsThePlainForm) {
  for (const int64_t rows : {1, 7, 300, 1500}) {  // one part, and several of uneven length
    const at::Tensor x = normal_tensor({rows, 12}, 1).requires_grad_(true);
    const at::Tensor weight = normal_tensor({20, 12}, 2).requires_grad_(true);
    const at::Tensor bias = normal_tensor({20}, 3).requires_grad_(true);
    const at::Tensor weights = normal_tensor({rows, 20}, 4) / std::sqrt(static_cast<double>(rows));
    const at::Tensor plain = linear(x, weight, bias, Operations::kPlain);
    const auto plain_gradients = gradients_of(plain, weights, {x, weight, bias});
    const at::Tensor fused = linear(x, weight, bias, Operations::kFused);
    expect_equal({fused}, {plain});
    expect_equal(gradients_of(fused, weights, {x, weight, bias}), plain_gradients);
  }
}

void expect_fused_feed_forward(const config::ModelConfig& config) {
  ParameterMemory parameters(config);
  initialise(parameters, config, 2);
  const std::string prefix = "encoder.layers.0.feed_forward.";
  const FeedForward feed_forward(parameters, prefix, config);
  for (const int64_t rows : {2, 14, 1490}) {  // a part of the longest holds rows of both passes
    for (const double probability : {0.0, 0.4}) {
      const DropoutMask mask{.probability = probability, .passes = 2, .keys = {5, 6}};
      const at::Tensor x = normal_tensor({rows, 16}, 3).requires_grad_(true);
      std::vector<at::Tensor> inputs = {x};
      for (const char* const name : {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"}) {
        const at::Tensor parameter = parameters.get_if(prefix + name);
        if (parameter.defined()) inputs.push_back(parameter);
      }
      ASSERT_EQ(inputs.size(), config.biases ? 5U : 3U);
      const at::Tensor weights = normal_tensor({rows, 16}, 4) / std::sqrt(static_cast<double>(rows));
      const at::Tensor plain = feed_forward.forward(x, mask, Operations::kPlain);
      const auto plain_gradients = gradients_of(plain, weights, inputs);
      const at::Tensor fused = feed_forward.forward(x, mask, Operations::kFused);
      expect_equal({fused}, {plain});
      expect_equal(gradients_of(fused, weights, inputs), plain_gradients);
    }
  }
}

TEST_P(Fused, FeedForwardEqualsThePlainForm) {
  config::ModelConfig config = model_of_width(16);
  expect_fused_feed_forward(config);
  config.biases = false;
  expect_fused_feed_forward(config);
}

TEST_P(Fused, ResidualAndNormEqualDropoutThenAddThenNorm) {
  for (const int64_t width : {12, 128}) {
    for (const double probability : {0.0, 0.3}) {
      const config::ModelConfig config = model_of_width(width);
      ParameterMemory parameters(config);
      initialise(parameters, config, 1);
      const std::string prefix = "encoder.layers.0.feed_forward.norm.";
      const Norm norm(parameters, prefix, config);
      const DropoutMask mask{.probability = probability, .passes = 2, .keys = {3, 4}};
      at::Tensor x = normal_tensor({140, width}, 1).requires_grad_(true);
      at::Tensor h = normal_tensor({140, width}, 2).requires_grad_(true);
      const at::Tensor weights = normal_tensor({140, width}, 3);
      const std::vector<at::Tensor> inputs = {x, h, parameters.get(prefix + "weight"),
                                              parameters.get(prefix + "bias")};
      const auto compare = [&](const char* what, const std::vector<at::Tensor>& of, const auto& form) {
        SCOPED_TRACE(what);
        const at::Tensor plain = form(Operations::kPlain);
        const auto plain_gradients = gradients_of(plain, weights, of);
        const at::Tensor fused = form(Operations::kFused);
        expect_equal({fused}, {plain});
        expect_equal(gradients_of(fused, weights, of), plain_gradients);
      };
      compare("post-norm", inputs, [&](Operations form) { return norm.forward_residual(x, h, mask, form); });
      compare("sum", {x, h}, [&](Operations form) { return residual_sum(x, h, mask, form); });
      compare("norm", {x, inputs[2], inputs[3]}, [&](Operations form) { return norm.forward(x, form); });
    }
  }
}

}  // namespace
}  // namespace megin::net
