// Models whose tokens meet several experts: as many as asked for, in all layers or layer by layer, drawn
// ones, ones that a position has, and the scales of their output.
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "base/error.h"
#include "runtime/random_weights.h"
#include "runtime/reference_model.h"
#include "runtime/transformer.h"

namespace megin::runtime {
namespace {

using config::Dispatch;
using config::DispatchMode;
using config::Gate;
using config::ModelConfig;
using config::RouterKind;
using Tokens = std::vector<int32_t>;

ModelConfig model_of(config::ExpertConfig experts,
                     config::ModelKind kind = config::ModelKind::kEncoderDecoder) {
  ModelConfig config;
  config.kind = kind;
  config.width = 12;
  config.feed_forward = 20;
  config.heads = 2;
  config.decoder_layers = 2;
  config.encoder_layers = kind == config::ModelKind::kCausalLm ? 0 : 2;
  config.max_length = 40;
  config.source_vocabulary = config.target_vocabulary = 19;
  experts.every = 1;
  config.experts = experts;
  return config;
}

config::ExpertConfig fixed(int64_t active = 5) {
  return {.count = 5, .router = RouterKind::kFixed, .active = active, .gate = Gate::kSoftmaxOfChosen};
}

// The shapes in which experts stand: in place of feed-forwards or inserted, with and without a source.
std::vector<ModelConfig> shapes_of(const config::ExpertConfig& experts) {
  std::vector<ModelConfig> all = {model_of(experts), model_of(experts, config::ModelKind::kCausalLm)};
  for (const ModelConfig& replaced : std::vector(all)) {
    ModelConfig inserted = replaced;
    inserted.experts.body = config::ExpertBody::kInsert;
    inserted.experts.sublayers = 2;
    all.push_back(inserted);
  }
  return all;
}

Tokens some_tokens(size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  Tokens tokens;
  for (size_t i = 0; i < count; ++i) tokens.push_back(static_cast<int32_t>(generator() % 19));
  return tokens;
}

// Log-probabilities after each of `target`, in one row per step.
std::vector<std::vector<float>> feed(const Transformer& model, const search::Source& source,
                                     const Tokens& target) {
  std::vector<std::vector<float>> steps;
  const auto state = model.begin({&source, 1}, 1);
  for (const int32_t token : target) {
    steps.emplace_back(static_cast<size_t>(model.vocabulary()));
    model.step(*state, {&token, 1}, steps.back());
  }
  return steps;
}

const search::Source kSource{some_tokens(9, 3), 41};
const Tokens kTarget = some_tokens(11, 4);

void expect_reference(const ModelConfig& config, const Dispatch& dispatch) {
  const TensorSource tensors = random_weights(config, 6);
  const Transformer model(std::make_shared<Weights>(config, tensors), dispatch);
  const auto found = feed(model, kSource, kTarget);
  const auto wanted =
      ReferenceModel(config, tensors, dispatch).log_probs(kSource.tokens, kTarget, kSource.sentence);
  for (size_t t = 0; t < found.size(); ++t) {
    for (size_t v = 0; v < found[t].size(); ++v)
      EXPECT_NEAR(found[t][v], wanted[t][v], 2e-3) << t << " " << v;
  }
}

TEST(ExpertNumbers, EachLayerMeetsItsOwnAsTheReferenceDoes) {
  for (const ModelConfig& config : shapes_of(fixed())) {
    const int64_t layers = config::count_expert_layers(config);
    Dispatch dispatch = config::parse_dispatch("k=3", 1);
    for (int64_t first : {1, 5}) {
      dispatch.active.assign(static_cast<size_t>(layers), 2);
      dispatch.active.front() = first;
      expect_reference(config, dispatch);
    }
  }
}

TEST(ExpertNumbers, ANumberForAllLayersIsThatNumberForEach) {
  const auto weights = std::make_shared<Weights>(model_of(fixed()), random_weights(model_of(fixed()), 6));
  const auto one = feed({weights, config::parse_dispatch("k=3", 1)}, kSource, kTarget);
  EXPECT_EQ(feed({weights, config::parse_dispatch("k=3,3,3,3", 1)}, kSource, kTarget), one);
  EXPECT_NE(feed({weights, config::parse_dispatch("k=3,3,3,4", 1)}, kSource, kTarget), one);
  EXPECT_THROW(Transformer(weights, config::parse_dispatch("k=3,3", 1)), UsageError);
  EXPECT_THROW(Transformer(weights, config::parse_dispatch("k=3,3,3,6", 1)), UsageError);
}

TEST(ExpertNumbers, SeveralAreDrawnAsTheReferenceDoes) {
  for (const Gate gate : {Gate::kSoftmaxOfChosen, Gate::kMean}) {
    for (const ModelConfig& config :
         shapes_of({.count = 5, .router = RouterKind::kUniform, .active = 3, .gate = gate})) {
      for (const char* mode : {"token", "sentence", "position", "batch", "ensemble", "path:2"}) {
        SCOPED_TRACE(mode);
        expect_reference(config, config::parse_dispatch(mode, 8));
      }
    }
  }
}

TEST(ExpertNumbers, APositionHasItsExpertsAsTheReferenceDoes) {
  for (const int64_t active : {1, 3}) {
    for (const ModelConfig& config : shapes_of({.count = 5,
                                     .router = RouterKind::kHash,
                                     .active = active,
                                     .gate = active > 1 ? Gate::kMean : Gate::kNone,
                                     .hash = config::HashTable::kPosition})) {
      expect_reference(config, {.mode = DispatchMode::kRouter});
    }
  }
}

TEST(ExpertNumbers, APositionHasDifferentExperts) {
  const ModelConfig config = model_of({.count = 5,
                                       .router = RouterKind::kHash,
                                       .active = 2,
                                       .gate = Gate::kMean,
                                       .hash = config::HashTable::kPosition});
  const TensorSource random = random_weights(config, 6);
  const std::vector<float> alike(80, 3.0F);
  const TensorSource tensors = [&](const std::string& name) {
    return name.ends_with("router.table") ? std::span<const float>(alike) : random(name);
  };
  try {
    const Weights weights(config, tensors);
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "tensor encoder.layers.0.feed_forward.router.table: wanted 2 different experts for position 0, "
        "found 3, 3");
  }
}

TEST(OutputScales, MultiplyWhatExpertsAnswerAsTheReferenceDoes) {
  config::ExpertConfig experts = fixed();
  experts.scales = true;
  for (const ModelConfig& config : shapes_of(experts)) {
    expect_reference(config, config::parse_dispatch("k=2", 1));
    Dispatch unscaled = config::parse_dispatch("k=2", 1);
    unscaled.scaled = false;
    expect_reference(config, unscaled);
  }
}

// sqrt(wanted / found): sqrt(8 / 2) and sqrt(8 / 32).
TEST(OutputScales, AreRatiosOfRootMeanSquares) {
  OutputSquares squares(2, 3);
  squares.add(1, 1, 1.5);
  squares.add(1, 1, 0.5);
  squares.add(1, 2, 8);
  squares.add(1, 3, 32);
  EXPECT_EQ(squares.scales(1, 2), (std::vector<float>{2.0F, 1.0F, 0.5F}));
  EXPECT_THROW(squares.scales(0, 2), Error);
}

// Every expert of every layer answers one and the same vector v to anything, and gates add up to 1 or, with
// the softmax over all scores, to less: of zero scores to k / 5. The output with k experts is then k / 5 v.
TEST(OutputScales, AreMeasuredOverWhatALayerAnswers) {
  config::ExpertConfig experts = fixed();
  experts.gate = Gate::kSoftmax;
  for (const ModelConfig& config : shapes_of(experts)) {
    const TensorSource random = random_weights(config, 6);
    const std::vector<float> zeros(40'000, 0.0F), ones(40'000, 1.0F);
    const TensorSource tensors = [&](const std::string& name) {
      const std::span<const float> values = random(name);
      if (name.ends_with("router.weight") || name.ends_with("fc2.weight")) {
        return std::span<const float>(zeros).first(values.size());
      }
      if (name.ends_with("fc2.bias")) return std::span<const float>(ones).first(values.size());
      return values;
    };
    const int64_t layers = config::count_expert_layers(config);
    OutputSquares squares(layers, 5);
    const Transformer model(std::make_shared<Weights>(config, tensors), {.mode = DispatchMode::kRouter},
                            {.squares = &squares});
    const Transformer plain(std::make_shared<Weights>(config, tensors), {.mode = DispatchMode::kRouter});
    EXPECT_EQ(feed(model, kSource, kTarget), feed(plain, kSource, kTarget)) << "measuring changes nothing";
    for (int64_t layer = 0; layer < layers; ++layer) {
      const std::vector<float> scales = squares.scales(layer, 5);
      for (size_t i = 0; i < scales.size(); ++i)
        EXPECT_NEAR(scales[i], 5.0F / static_cast<float>(i + 1), 1e-4);
    }
  }
}

// A table of ones, and any table at the model's own number, where it is 1.
TEST(OutputScales, OfOneAreTheSameBitsAsNone) {
  config::ExpertConfig experts = fixed(3);
  const ModelConfig plain = model_of(experts);
  experts.scales = true;
  const ModelConfig with = model_of(experts);
  const TensorSource random = random_weights(plain, 6);
  const std::vector<float> table = {0.5F, 0.7F, 1.0F, 1.2F, 1.3F};
  const TensorSource tensors = [&](const std::string& name) {
    return name.ends_with(".scale") ? std::span<const float>(table) : random(name);
  };
  const auto weights = std::make_shared<Weights>(plain, random);
  const auto scaled = std::make_shared<Weights>(with, tensors);
  for (const char* experts_of : {"router", "k=3"}) {
    const Dispatch dispatch = config::parse_dispatch(experts_of, 1);
    EXPECT_EQ(feed({scaled, dispatch}, kSource, kTarget), feed({weights, dispatch}, kSource, kTarget));
  }
  Dispatch two = config::parse_dispatch("k=2", 1);
  EXPECT_NE(feed({scaled, two}, kSource, kTarget), feed({weights, two}, kSource, kTarget));
  two.scaled = false;
  EXPECT_EQ(feed({scaled, two}, kSource, kTarget), feed({weights, two}, kSource, kTarget));
}

}  // namespace
}  // namespace megin::runtime
