#include "net/relative_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "net/gradient_check.h"
#include "net/initialisation.h"
#include "net/positions.h"

namespace megin::net {
namespace {

constexpr int64_t kWidth = 8, kHeads = 2, kHeadWidth = 6, kInner = kHeads * kHeadWidth;

config::ModelConfig small_model() {
  config::ModelConfig config;
  config.kind = config::ModelKind::kCausalLm;
  config.width = kWidth;
  config.feed_forward = 12;
  config.heads = kHeads;
  config.head_width = kHeadWidth;
  config.encoder_layers = 0;
  config.decoder_layers = 1;
  config.positions = config::Positions::kRelative;
  config.source_vocabulary = config.target_vocabulary = 20;
  return config;
}

const std::string kPrefix = "decoder.layers.0.self_attention.";

struct Fixture {
  Fixture() : config(small_model()), parameters(config) {
    initialise(parameters, config, 5);
    for (const char* bias : {"content_bias", "distance_bias"}) {
      const at::NoGradGuard no_gradients;
      parameters.get(std::string("decoder.relative.") + bias).copy_(normal_tensor({kInner}, bias[0], 0.5));
    }
  }
  config::ModelConfig config;
  ParameterMemory parameters;
};

// The formula of Dai et al. 2019, section 3.3, in double, one score after the other.
std::vector<double> by_loops(const ParameterMemory& parameters, const at::Tensor& all, int64_t length) {
  const auto matrix = [&](const std::string& name) { return parameters.get(name).detach().to(at::kDouble); };
  const at::Tensor projection = matrix(kPrefix + "query_key_value.weight");
  const at::Tensor distance = matrix(kPrefix + "distance.weight"), output = matrix(kPrefix + "output.weight");
  const at::Tensor u = matrix("decoder.relative.content_bias"), v = matrix("decoder.relative.distance_bias");
  const int64_t keys = all.size(0);
  const at::Tensor projected = at::matmul(all.to(at::kDouble), projection.t());
  std::vector<double> result;
  for (int64_t i = keys - length; i < keys; ++i) {
    at::Tensor context = at::zeros({kInner}, at::kDouble);
    for (int64_t h = 0; h < kHeads; ++h) {
      const auto of_head = [&](const at::Tensor& x) { return x.narrow(0, h * kHeadWidth, kHeadWidth); };
      const at::Tensor query = of_head(projected[i].narrow(0, 0, kInner));
      std::vector<double> score;
      double total = 0;
      for (int64_t j = 0; j <= i; ++j) {
        at::Tensor r = at::zeros({kWidth}, at::kDouble);
        for (int64_t k = 0; k < kWidth / 2; ++k) {
          const double angle = static_cast<double>(i - j) / std::pow(10000.0, 2.0 * k / kWidth);
          r[k] = std::sin(angle);
          r[kWidth / 2 + k] = std::cos(angle);
        }
        const at::Tensor key = of_head(projected[j].narrow(0, kInner, kInner));
        const at::Tensor far = of_head(at::matmul(distance, r));
        const double sum =
            (at::dot(query, key) + at::dot(query, far) + at::dot(of_head(u), key) + at::dot(of_head(v), far))
                .item<double>();
        score.push_back(std::exp(sum / std::sqrt(static_cast<double>(kHeadWidth))));
        total += score.back();
      }
      for (int64_t j = 0; j <= i; ++j) {
        of_head(context).add_(of_head(projected[j].narrow(0, 2 * kInner, kInner)),
                              score[static_cast<size_t>(j)] / total);
      }
    }
    const at::Tensor y = at::matmul(output, context);
    for (int64_t c = 0; c < kWidth; ++c) result.push_back(y[c].item<double>());
  }
  return result;
}

TEST(RelativeAttention, EqualsTheFormulaInLoops) {
  const Fixture fixture;
  const RelativeSelfAttention attention(fixture.parameters, kPrefix, fixture.config);
  constexpr int64_t kSentences = 3, kLength = 4;
  for (const int64_t remembered : {0, 1, 5}) {
    const at::Tensor x = normal_tensor({kSentences * kLength, kWidth}, 1);
    const at::Tensor past = normal_tensor({kSentences, remembered, kWidth}, 2);
    const at::Tensor distances = distance_vectors(remembered + kLength, kWidth).unsqueeze(0);
    for (const Operations operations : {Operations(), Operations(Operations::kPlain)}) {
      const at::Tensor y = attention.forward({x, {kSentences, kLength}, past, distances, operations}, {});
      for (int64_t s = 0; s < kSentences; ++s) {
        const at::Tensor all = at::cat({past[s], x.narrow(0, s * kLength, kLength)});
        const std::vector<double> wanted = by_loops(fixture.parameters, all, kLength);
        for (size_t i = 0; i < wanted.size(); ++i) {
          const auto row = s * kLength + static_cast<int64_t>(i) / kWidth;
          EXPECT_NEAR(y[row][static_cast<int64_t>(i) % kWidth].item<double>(), wanted[i], 1e-5)
              << remembered << " " << s << " " << i;
        }
      }
    }
  }
}

TEST(RelativeAttention, Gradients) {
  const Fixture fixture;
  const RelativeSelfAttention attention(fixture.parameters, kPrefix, fixture.config);
  const DropoutMask dropped{.probability = 0.2, .passes = 2, .keys = {4, 9}};
  for (const bool drops : {false, true}) {  // the fused form, and the plain one
    for (const int64_t remembered : {0, 3}) {
      const DropoutMask probabilities = drops ? dropped : DropoutMask{};
      const at::Tensor x = normal_tensor({2 * 4, kWidth}, 3).requires_grad_(true);
      const at::Tensor past = normal_tensor({2, remembered, kWidth}, 4);
      // Two passes, each with distances of its own.
      const at::Tensor distances = normal_tensor({2, remembered + 4, kWidth}, 5);
      std::vector<at::Tensor> inputs = {x};
      for (const Parameter& p : fixture.parameters.all()) {
        const bool own = p.name.starts_with(kPrefix) && p.name.find(".norm.") == std::string::npos;
        if (own || p.name.starts_with("decoder.relative.")) inputs.push_back(p.leaves[0]);
      }
      ASSERT_EQ(inputs.size(), 6);
      expect_gradients(
          [&] {
            return attention.forward({x, {2, 4}, past, distances}, probabilities);
          },
          inputs);
    }
  }
}

TEST(RelativeAttention, DistanceVectorsAreThoseOfTheFormula) {
  const at::Tensor table = distance_vectors(4, 6);
  for (int64_t n = 0; n < 4; ++n) {
    for (int64_t k = 0; k < 3; ++k) {
      const double angle = static_cast<double>(n) / std::pow(10000.0, 2.0 * k / 6.0);
      EXPECT_NEAR(table[n][k].item<double>(), std::sin(angle), 1e-6);
      EXPECT_NEAR(table[n][3 + k].item<double>(), std::cos(angle), 1e-6);
    }
  }
}

}  // namespace
}  // namespace megin::net
