#include "store/kept_experts.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "store/toy_model_files.h"

namespace megin::store {
namespace {

using config::Gate;
using config::RouterKind;

config::ModelConfig toy_of(config::ExpertConfig experts) {
  config::ModelConfig model = toy_description().model;
  experts.every = 1;
  model.experts = experts;
  return model;
}

// Tensors count up from 0.
struct Kept {
  Kept(const config::ModelConfig& config, const std::vector<std::vector<int64_t>>& experts)
      : before(toy_tensors(config)),
        model(keep_experts(
            config, [this](const std::string& name) { return of(before, name); }, experts)) {}

  static std::span<const float> of(const std::vector<FloatTensor>& tensors, const std::string& name) {
    return std::ranges::find(tensors, name, &FloatTensor::name)->values;
  }
  std::vector<float> operator[](const std::string& name) const {
    const auto found = of(model.tensors, name);
    return {found.begin(), found.end()};
  }

  std::vector<FloatTensor> before;
  ConvertedModel model;
};

TEST(KeptExperts, AreThoseWithMostVotes) {
  const LayerVotes votes = {{3, 9, 4, 9}, {0, 0, 0, 0}, {1, 2, 3, 4}};
  EXPECT_EQ(most_voted(votes, 2), (std::vector<std::vector<int64_t>>{{1, 3}, {0, 1}, {2, 3}}));
  EXPECT_EQ(most_voted(votes, 1), (std::vector<std::vector<int64_t>>{{1}, {0}, {3}}));
  EXPECT_THROW(most_voted(votes, 4), UsageError);
  EXPECT_THROW(most_voted(votes, 5), UsageError);
  EXPECT_THROW(most_voted(votes, 0), UsageError);
}

TEST(KeptExperts, KeepTheirWeightsAndTheirRowsOfTheRouter) {
  const Kept kept(toy_of({.count = 3,
                          .feed_forward = 2,
                          .router = RouterKind::kFixed,
                          .active = 3,
                          .gate = Gate::kSoftmaxOfChosen,
                          .scales = true}),
                  {{0, 2}, {1, 2}});
  const config::ExpertConfig& experts = kept.model.model.experts;
  EXPECT_EQ(experts.count, 2);
  EXPECT_EQ(experts.active, 2) << "all that are left";
  EXPECT_FALSE(experts.scales);
  // Of [3, 2] numbers an expert has two, of the router's [3, 4] four.
  EXPECT_EQ(kept["encoder.layers.0.feed_forward.fc1.bias"], (std::vector<float>{0, 1, 4, 5}));
  EXPECT_EQ(kept["decoder.layers.0.feed_forward.fc1.bias"], (std::vector<float>{2, 3, 4, 5}));
  EXPECT_EQ(kept["encoder.layers.0.feed_forward.router.weight"],
            (std::vector<float>{0, 1, 2, 3, 8, 9, 10, 11}));
  EXPECT_EQ(kept["decoder.layers.0.feed_forward.norm.weight"], (std::vector<float>{0, 1, 2, 3}));
}

TEST(KeptExperts, OfOtherRoutersKeepAllThatCountsExperts) {
  const Kept biased(toy_of({.count = 3,
                            .router = RouterKind::kTopK,
                            .active = 2,
                            .gate = Gate::kSigmoid,
                            .noisy = true,
                            .biased = true,
                            .shared = true}),
                    {{0, 2}, {1, 2}});
  EXPECT_EQ(biased.model.model.experts.active, 2);
  EXPECT_EQ(biased["encoder.layers.0.feed_forward.router.bias"], (std::vector<float>{0, 2}));
  EXPECT_EQ(biased["decoder.layers.0.feed_forward.router.noise"],
            (std::vector<float>{4, 5, 6, 7, 8, 9, 10, 11}));
  EXPECT_EQ(biased["decoder.layers.0.feed_forward.shared.fc1.bias"], (std::vector<float>{0, 1, 2, 3, 4, 5}));

  const Kept distilled(
      toy_of({.count = 3, .router = RouterKind::kDistilled, .gate = Gate::kSigmoid, .distilled_width = 2}),
      {{0, 2}, {1, 2}});
  EXPECT_EQ(distilled["encoder.layers.0.feed_forward.router.centres"], (std::vector<float>{0, 1, 4, 5}));
  EXPECT_EQ(distilled["encoder.layers.0.feed_forward.router.symbols"].size(), 20u);
}

TEST(KeptExperts, AloneAreADenseModel) {
  const Kept kept(toy_of({.count = 3,
                          .feed_forward = 2,
                          .router = RouterKind::kFixed,
                          .active = 3,
                          .gate = Gate::kSoftmaxOfChosen}),
                  {{2}, {0}});
  EXPECT_EQ(kept.model.model.experts, config::ExpertConfig());
  EXPECT_EQ(kept.model.model.feed_forward, 2);
  EXPECT_EQ(kept["encoder.layers.0.feed_forward.fc1.bias"], (std::vector<float>{4, 5}));
  EXPECT_EQ(kept["decoder.layers.0.feed_forward.fc1.bias"], (std::vector<float>{0, 1}));
}

TEST(KeptExperts, SayWhatCannotBe) {
  const auto refused = [](const config::ModelConfig& model, const std::vector<std::vector<int64_t>>& experts,
                          const std::string& wanted) {
    try {
      const Kept kept(model, experts);
      ADD_FAILURE() << "not refused: " << wanted;
    } catch (const UsageError& error) {
      EXPECT_NE(std::string(error.what()).find(wanted), std::string::npos) << error.what();
    }
  };
  const config::ModelConfig fixed =
      toy_of({.count = 3, .router = RouterKind::kFixed, .active = 3, .gate = Gate::kSoftmaxOfChosen});
  refused(toy_description().model, {{0}, {0}}, "found a dense one");
  refused(toy_of({.count = 3}), {{0}, {0}}, "found the router random");
  refused(toy_of({.count = 3, .router = RouterKind::kHash}), {{0}, {0}}, "found the router hash");
  refused(fixed, {{0, 1}}, "wanted votes of 2 expert layers, found those of 1");
  refused(fixed, {{0, 1, 2}, {0, 1, 2}}, "wanted 1 to 2 of the 3 experts of each layer, found 3");
  refused(fixed, {{0, 3}, {0, 1}}, "wanted experts from 0 to 2, found 3");
  config::ModelConfig sigmoid = fixed;
  sigmoid.experts.gate = Gate::kSigmoid;
  refused(sigmoid, {{0}, {0}}, "where the gate is sigmoid");
  config::ModelConfig shared = fixed;
  shared.experts.shared = true;
  refused(shared, {{0}, {0}}, "beside the shared one");
}

}  // namespace
}  // namespace megin::store
