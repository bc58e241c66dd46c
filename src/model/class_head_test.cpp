#include "model/class_head.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

#include "model/transformer.h"
#include "net/gradient_check.h"
#include "net/initialisation.h"

namespace megin::model {
namespace {

config::ModelConfig small_classifier() {
  config::ModelConfig config;
  config.kind = config::ModelKind::kCausalLm;
  config.width = 8;
  config.feed_forward = 12;
  config.heads = 2;
  config.encoder_layers = 0;
  config.decoder_layers = 2;
  config.dropout = 0;
  config.max_length = 16;
  config.source_vocabulary = config.target_vocabulary = 20;
  config.classes = 3;
  return config;
}

// Lengths with both marks: 5, 3 and 2.
data::TokenBatch small_batch(bool masked = false) {
  data::MemoryExamples examples;
  examples.add({2}, {7, 8, 9});
  examples.add({0}, {5});
  examples.add({1}, {});
  return data::make_labelled_batch(examples, std::vector<int64_t>{0, 1, 2}, {.most = 16, .masked = masked});
}

TEST(ClassHead, LooksAtOneTokenOfEachSentenceAndPass) {
  const auto rows = [](const data::TokenBatch& batch) {
    const at::Tensor found = classified_rows(batch, 2);
    return std::vector<int64_t>(found.data_ptr<int64_t>(), found.data_ptr<int64_t>() + found.numel());
  };
  EXPECT_EQ(rows(small_batch()), (std::vector<int64_t>{4, 7, 11, 19, 22, 26}));
  EXPECT_EQ(rows(small_batch(true)), (std::vector<int64_t>{0, 5, 10, 15, 20, 25}));
}

// Hidden unit 0 is twice the state's first number plus 0.1, class c adds c times its tanh; all else is 0.
TEST(ClassHead, IsTwoLayersWithATangentBetween) {
  net::ParameterMemory parameters(small_classifier());
  const auto set = [&](const char* name, size_t at, float value) {
    parameters.values_of(parameters.find(name))[at] = value;
  };
  set("classifier.hidden.weight", 0, 2.0f);
  set("classifier.hidden.bias", 0, 0.1f);
  for (size_t c = 0; c < 3; ++c) set("classifier.output.weight", c * 8, static_cast<float>(c));
  set("classifier.output.bias", 0, -0.5f);
  const data::TokenBatch batch = small_batch();
  at::Tensor states = at::zeros({15, 8});
  states[4][0] = 0.3f;
  states[7][0] = -1.0f;
  for (const auto& plain : {std::vector<config::FusedPart>{}, {config::FusedPart::kAll}}) {
    const at::Tensor logits =
        ClassHead(parameters)
            .logits(states, batch, {.training = false, .operations = net::Operations(plain)});
    ASSERT_EQ(logits.sizes(), (at::IntArrayRef{3, 3}));
    const double of_rows[] = {std::tanh(0.7), std::tanh(-1.9), std::tanh(0.1)};
    for (int64_t row = 0; row < 3; ++row) {
      EXPECT_NEAR(logits[row][0].item<float>(), -0.5, 1e-6);
      EXPECT_NEAR(logits[row][2].item<float>(), 2 * of_rows[row], 1e-6);
    }
  }
}

TEST(ClassHead, GradientsAreThoseOfFiniteDifferences) {
  net::ParameterMemory parameters(small_classifier());
  net::initialise(parameters, small_classifier(), 3);
  const data::TokenBatch batch = small_batch();
  at::Tensor states = net::normal_tensor({30, 8}, 5).requires_grad_(true);
  const net::ForwardContext context{.training = true, .passes = 2};
  std::vector<at::Tensor> inputs = {states};
  for (const char* name : {"classifier.hidden.weight", "classifier.hidden.bias", "classifier.output.weight",
                           "classifier.output.bias"}) {
    inputs.push_back(parameters.get(name));
  }
  net::expect_gradients([&] { return ClassHead(parameters).logits(states, batch, context); }, inputs);
}

// Through the body: what a sentence's class is has nothing to do with its neighbours or their padding.
TEST(ClassHead, ASentenceIsReadByItself) {
  std::vector<config::ModelConfig> all(3, small_classifier());
  all[1].positions = config::Positions::kRelative;
  all[2].kind = config::ModelKind::kMaskedLm;
  std::swap(all[2].encoder_layers, all[2].decoder_layers);
  for (const config::ModelConfig& config : all) {
    const bool masked = config::is_masked_lm(config);
    Transformer model(config);
    net::initialise(model.parameters(), config, 6);
    const ClassHead head(model.parameters());
    const net::ForwardContext context{.training = false};
    const data::TokenBatch together = small_batch(masked);
    const at::NoGradGuard no_gradients;
    const at::Tensor wanted = head.logits(model.forward(together, context), together, context);
    data::MemoryExamples examples;
    examples.add({0}, {5});
    const data::TokenBatch alone =
        data::make_labelled_batch(examples, std::vector<int64_t>{0}, {.most = 16, .masked = masked});
    const at::Tensor found = head.logits(model.forward(alone, context), alone, context);
    EXPECT_TRUE(at::allclose(found[0], wanted[1], 1e-4, 1e-5));
    EXPECT_FALSE(at::allclose(wanted[0], wanted[1], 1e-3, 1e-3));
  }
}

}  // namespace
}  // namespace megin::model
