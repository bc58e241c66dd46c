#include "store/expert_conversion.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "store/toy_model_files.h"

namespace megin::store {
namespace {

// The toy with width 4 and feed-forward 6; values count up through each tensor.
struct Toy {
  explicit Toy(const config::ModelConfig& config) : model(config), tensors(toy_tensors(config)) {}

  TensorLookup lookup() const {
    return [this](const std::string& name) { return std::span<const float>(of(name)); };
  }
  const std::vector<float>& of(const std::string& name) const {
    return std::ranges::find(tensors, name, &FloatTensor::name)->values;
  }
  std::vector<float>& of(const std::string& name) {
    return std::ranges::find(tensors, name, &FloatTensor::name)->values;
  }

  config::ModelConfig model;
  std::vector<FloatTensor> tensors;
};

const std::vector<float>& tensor(const ConvertedModel& model, const std::string& name) {
  return std::ranges::find(model.tensors, name, &FloatTensor::name)->values;
}

TEST(ExpertConversion, ContiguousExpertsAreBlocksOfHiddenUnits) {
  const Toy toy(toy_description().model);
  const ConvertedModel split = split_into_experts(toy.model, toy.lookup(), {.experts = 3});
  EXPECT_EQ(split.model.experts.count, 3);
  EXPECT_EQ(split.model.experts.feed_forward, 2);
  EXPECT_EQ(split.model.experts.active, 3);
  const std::string layer = "decoder.layers.0.feed_forward.";
  EXPECT_EQ(tensor(split, layer + "fc1.weight"), toy.of(layer + "fc1.weight"));  // [6, 4] is [3, 2, 4]
  EXPECT_EQ(tensor(split, layer + "fc1.bias"), toy.of(layer + "fc1.bias"));
  // fc2 [4, 6], row r holds 6 r ... 6 r + 5; expert 1 has the columns 2 and 3, times 3.
  const std::vector<float>& fc2 = tensor(split, layer + "fc2.weight");
  EXPECT_EQ(std::vector<float>(fc2.begin() + 8, fc2.begin() + 16),
            (std::vector<float>{6, 9, 24, 27, 42, 45, 60, 63}));
  const std::vector<float>& bias = tensor(split, layer + "fc2.bias");
  for (size_t e = 0; e < 3; ++e) {
    EXPECT_EQ(std::vector<float>(bias.begin() + 4 * e, bias.begin() + 4 * e + 4), toy.of(layer + "fc2.bias"));
  }
  // What is no feed-forward stays.
  EXPECT_EQ(tensor(split, "decoder.layers.0.feed_forward.norm.weight"), toy.of(layer + "norm.weight"));
  EXPECT_EQ(tensor(split, "embedding.weight"), toy.of("embedding.weight"));
}

// Units of which three look one way and three the other: k-means finds them, wherever they stand.
TEST(ExpertConversion, ClustersAreOfUnitsThatLookAlike) {
  Toy toy(toy_description().model);
  const std::string layer = "encoder.layers.0.feed_forward.";
  const std::set<int64_t> first = {0, 3, 4};
  for (int64_t unit = 0; unit < 6; ++unit) {
    for (int64_t i = 0; i < 4; ++i) {
      const bool points = first.contains(unit) ? i == 0 : i == 2;
      toy.of(layer + "fc1.weight")[static_cast<size_t>(4 * unit + i)] =
          points ? static_cast<float>(unit + 1) : 0.01F * static_cast<float>(i);
    }
  }
  const ConvertedModel split =
      split_into_experts(toy.model, toy.lookup(), {.experts = 2, .split = ExpertSplit::kCluster});
  // The bias of unit u is u: it says which units an expert has.
  const std::vector<float>& bias = tensor(split, layer + "fc1.bias");
  const std::vector<float> one(bias.begin(), bias.begin() + 3), two(bias.begin() + 3, bias.end());
  const std::vector<float> wanted = {0, 3, 4}, others = {1, 2, 5};
  EXPECT_TRUE((one == wanted && two == others) || (one == others && two == wanted));
}

// Units 0, 3 and 4 are active for one half of the tokens, 1, 2 and 5 for the other.
TEST(ExpertConversion, CoactivationPutsUnitsTogetherThatAreActiveTogether) {
  const Toy toy(toy_description().model);
  std::vector<UnitActivity> activity(2, UnitActivity(6));
  for (UnitActivity& of : activity) {
    for (int token = 0; token < 8; ++token) {
      const float first = token % 2 == 0 ? 0.5F : -0.5F;
      of.add(std::vector<float>{first, -first, -first, first, first, -first});
    }
  }
  const SplitOptions options{.experts = 2, .split = ExpertSplit::kCoactivation, .activity = activity};
  const ConvertedModel split = split_into_experts(toy.model, toy.lookup(), options);
  for (const char* stack : {"encoder", "decoder"}) {  // the bias of unit u is u
    EXPECT_EQ(tensor(split, std::string(stack) + ".layers.0.feed_forward.fc1.bias"),
              (std::vector<float>{0, 3, 4, 1, 2, 5}));
  }
  activity[1] = UnitActivity(6);
  EXPECT_THROW(split_into_experts(toy.model, toy.lookup(), options), Error) << "a decoder that read nothing";
  EXPECT_THROW(
      split_into_experts(toy.model, toy.lookup(), {.experts = 2, .split = ExpertSplit::kCoactivation}),
      UsageError);
}

TEST(ExpertConversion, RandomExpertsHoldEveryUnitOnce) {
  const Toy toy(toy_description().model);
  const SplitOptions options{.experts = 2, .split = ExpertSplit::kRandom, .seed = 5};
  const ConvertedModel split = split_into_experts(toy.model, toy.lookup(), options);
  std::vector<float> bias = tensor(split, "encoder.layers.0.feed_forward.fc1.bias");
  EXPECT_NE(bias, (std::vector<float>{0, 1, 2, 3, 4, 5}));
  std::ranges::sort(bias);
  EXPECT_EQ(bias, (std::vector<float>{0, 1, 2, 3, 4, 5}));
}

TEST(ExpertConversion, CopiesAreWholeFeedForwards) {
  const Toy toy(toy_description().model);
  const ConvertedModel copies =
      split_into_experts(toy.model, toy.lookup(), {.experts = 2, .split = ExpertSplit::kCopy});
  const std::string name = "encoder.layers.0.feed_forward.fc2.weight";
  const std::vector<float>& found = tensor(copies, name);
  EXPECT_EQ(std::vector<float>(found.begin(), found.begin() + 24), toy.of(name));
  EXPECT_EQ(std::vector<float>(found.begin() + 24, found.end()), toy.of(name));
  EXPECT_EQ(config::expert_feed_forward(copies.model), 6);
  EXPECT_EQ(copies.model.experts.active, 1) << "more would compute the same";
}

TEST(ExpertConversion, APathAndAMeanAreExpertsOfTheirLayers) {
  config::ModelConfig model = toy_description().model;
  model.experts = {.count = 2, .every = 1};
  const Toy toy(model);
  const int64_t path[] = {1, 0};
  const ConvertedModel taken = take_path(model, toy.lookup(), path);
  EXPECT_EQ(taken.model.experts.count, 1);
  // Tensors of an expert layer count up over both experts.
  EXPECT_EQ(tensor(taken, "encoder.layers.0.feed_forward.fc1.bias"),
            (std::vector<float>{6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(tensor(taken, "decoder.layers.0.feed_forward.fc1.bias"), (std::vector<float>{0, 1, 2, 3, 4, 5}));
  const ConvertedModel mean = take_mean(model, toy.lookup());
  EXPECT_EQ(tensor(mean, "decoder.layers.0.feed_forward.fc1.bias"), (std::vector<float>{3, 4, 5, 6, 7, 8}));
}

TEST(ExpertConversion, SaysWhatCannotBe) {
  const Toy toy(toy_description().model);
  const auto refused = [&](const SplitOptions& options, const std::string& wanted) {
    try {
      split_into_experts(toy.model, toy.lookup(), options);
      ADD_FAILURE() << "not refused: " << wanted;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(wanted), std::string::npos) << error.what();
    }
  };
  refused({.experts = 4}, "divides the width of the feed-forwards (6), found 4");
  refused({.experts = 1}, "wanted 2 to 65535 experts, found 1");
  refused({.experts = 70'000, .split = ExpertSplit::kCopy}, "wanted 2 to 65535 experts, found 70000");
  EXPECT_NO_THROW(split_into_experts(toy.model, toy.lookup(), {.experts = 4, .split = ExpertSplit::kCopy}));
  EXPECT_THROW(take_mean(toy.model, toy.lookup()), UsageError) << "dense";
  config::ModelConfig gated = toy.model;
  gated.experts = {
      .count = 2, .every = 1, .router = config::RouterKind::kTopK, .gate = config::Gate::kSoftmax};
  const Toy routed(gated);
  EXPECT_THROW(take_mean(gated, routed.lookup()), UsageError) << "gates depend on tokens";
  EXPECT_THROW(take_all(gated, routed.lookup()), UsageError);
  gated.experts = {.count = 2, .every = 1};
  const int64_t wrong[] = {2};
  EXPECT_THROW(take_path(gated, Toy(gated).lookup(), wrong), UsageError);
}

}  // namespace
}  // namespace megin::store
