#include "net/unit_dropout.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "net/dropout.h"
#include "net/feed_forward.h"
#include "net/gradient_check.h"
#include "net/initialisation.h"

namespace megin::net {
namespace {

constexpr DropoutMask kTwoPasses{.probability = 0.5, .passes = 2, .keys = {11, 12}};

TEST(DropGroups, LeavesOutEveryGroupthColumnOfAPassAndRescalesNothing) {
  constexpr int64_t kGroups = 4, kColumns = 10, kRows = 6;
  int dropped = 0;
  for (uint64_t draw = 0; draw < 500; ++draw) {
    const DropoutMask mask{.probability = 0.5, .passes = 2, .keys = {2 * draw, 2 * draw + 1}};
    const at::Tensor kept = drop_groups(at::full({kRows, kColumns}, 3.0f), kGroups, mask);
    for (int64_t row = 0; row < kRows; ++row) {
      for (int64_t j = 0; j < kColumns; ++j) {
        const float value = kept[row][j].item<float>();
        EXPECT_TRUE(value == 0.0f || value == 3.0f);
        EXPECT_EQ(value, kept[row / 3 * 3][j % kGroups].item<float>()) << "row " << row << " column " << j;
      }
    }
    for (int64_t group = 0; group < kGroups; ++group) dropped += kept[0][group].item<float>() == 0.0f;
  }
  EXPECT_NEAR(dropped, 1000, 112);  // of 2000 fair draws, five standard deviations
}

TEST(DropGroups, PassesDrawOnTheirOwn) {
  int differ = 0;
  for (uint64_t draw = 0; draw < 50; ++draw) {
    const DropoutMask mask{.probability = 0.5, .passes = 2, .keys = {2 * draw, 2 * draw + 1}};
    const at::Tensor kept = drop_groups(at::ones({2, 8}), 8, mask);
    differ += !at::equal(kept[0], kept[1]);
  }
  EXPECT_GT(differ, 45);
}

// y = x z / (1 - p) with z = 1 - sigmoid((log p - log(1 - p) + log u - log(1 - u)) / 0.1), in double.
TEST(ConcreteDropout, IsTheRelaxationOfThePaper) {
  const double p = 0.3;
  const at::Tensor logit = at::full({1}, std::log(p / (1 - p)));
  const at::Tensor x = normal_tensor({20, 50}, 3);
  const at::Tensor y = concrete_dropout(x, logit, kTwoPasses);
  double kept = 0;
  for (int64_t i = 0; i < x.numel(); ++i) {
    const auto half = static_cast<uint64_t>(x.numel() / 2), place = static_cast<uint64_t>(i);
    const double u = draw_uniform(place < half ? 11 : 12, place % half);
    const double z =
        1 - 1 / (1 + std::exp(-(std::log(p) - std::log(1 - p) + std::log(u) - std::log(1 - u)) / 0.1));
    EXPECT_NEAR(y.data_ptr<float>()[i], x.data_ptr<float>()[i] * z / (1 - p), 1e-4) << i;
    kept += z / static_cast<double>(x.numel());
  }
  EXPECT_NEAR(kept, 1 - p, 0.07) << "five standard deviations of 1000 draws";
}

TEST(ConcreteDropout, GradientsAreThoseOfFiniteDifferences) {
  at::Tensor x = normal_tensor({6, 8}, 1).requires_grad_(true);
  at::Tensor logit = at::full({1}, -0.7f).requires_grad_(true);
  expect_gradients([&] { return concrete_dropout(x, logit, kTwoPasses) * 0.2; }, {x, logit});
}

// W = (1, 2; 3, 4), p = 1/4: |W|^2 / (3/4) = 40, H = -1/4 ln 1/4 - 3/4 ln 3/4 = 0.5623351.
TEST(ConcreteRegulariser, IsThePapersAndHasItsGradients) {
  const at::Tensor logit = at::full({1}, static_cast<float>(std::log(1.0 / 3)));
  const at::Tensor matrix = at::tensor({1.0f, 2.0f, 3.0f, 4.0f}).view({2, 2});
  EXPECT_NEAR(concrete_regulariser(matrix, logit, {.weight = 0.1, .entropy = 0}).item<float>(), 4.0, 1e-5);
  EXPECT_NEAR(concrete_regulariser(matrix, logit, {.weight = 0, .entropy = 0.5}).item<float>(), -0.5623351,
              1e-6);
  at::Tensor weight = normal_tensor({3, 4}, 2).requires_grad_(true);
  at::Tensor rate = at::full({1}, -0.7f).requires_grad_(true);
  expect_gradients([&] { return concrete_regulariser(weight, rate, {.weight = 0.1, .entropy = 0.2}); },
                   {weight, rate});
}

class UnitDropoutOfFeedForward : public testing::Test {
 protected:
  static config::ModelConfig config() {
    config::ModelConfig config;
    config.width = 8;
    config.feed_forward = 12;
    config.heads = 2;
    config.encoder_layers = config.decoder_layers = 1;
    config.source_vocabulary = config.target_vocabulary = 9;
    config.group_dropout.groups = 3;
    config.concrete_dropout = 0.1;
    return config;
  }
};

TEST_F(UnitDropoutOfFeedForward, ActsOnTheHiddenUnitsInTrainingAlone) {
  const config::ModelConfig config = this->config();
  ParameterMemory parameters(config);
  initialise(parameters, config, 1);
  const std::string prefix = "encoder.layers.0.feed_forward.";
  EXPECT_NEAR(parameters.get(prefix + "dropout.logit").item<float>(), std::log(0.1 / 0.9), 1e-6);
  const FeedForward layer(parameters, prefix, config);
  const at::Tensor x = normal_tensor({4, 8}, 5);
  const auto get = [&](const char* name) { return parameters.get(prefix + name); };
  const at::Tensor hidden = at::relu(at::matmul(x, get("fc1.weight").t()) + get("fc1.bias"));
  const auto second = [&](const at::Tensor& units) {
    return at::matmul(units, get("fc2.weight").t()) + get("fc2.bias");
  };
  const DropoutMask groups{.probability = 0.5, .passes = 1, .keys = {7, 0}};
  const DropoutMask concrete{.probability = 0.1, .passes = 1, .keys = {8, 0}};
  EXPECT_TRUE(at::allclose(layer.forward(x, {}, {}, {.groups = groups}),
                           second(drop_groups(hidden, 3, groups)), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(layer.forward(x, {}, {}, {.concrete = concrete}),
                           second(concrete_dropout(hidden, get("dropout.logit"), concrete)), 1e-5, 1e-6));
  EXPECT_TRUE(at::allclose(layer.forward(x, {}), second(hidden), 1e-5, 1e-6)) << "in use";
}

}  // namespace
}  // namespace megin::net
