#include "routing/random_router.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace megin::routing {
namespace {

constexpr int64_t kUpdates = 10000;

Route route_of(const RandomRouter& router, const net::ForwardContext& context, int64_t layer = 0) {
  const at::Tensor hidden = at::zeros({context.passes * 6, 4});
  const std::vector<uint64_t> sentences = {7, 9};
  return router.route({.hidden = hidden,
                       .sentences = sentences,
                       .length = 3,
                       .stack = config::Stack::kDecoder,
                       .layer = layer,
                       .expert_layer = 1,
                       .context = context});
}

// Conformance check 6: counts by chi-square, 4 experts: 16.27 with 3 degrees is exceeded once in a thousand.
TEST(RandomRouter, DrawsExpertsUniformly) {
  const RandomRouter router(4);
  std::vector<double> counts(4);
  for (int64_t update = 0; update < kUpdates; ++update) {
    ++counts[route_of(router, {.training = true, .update = static_cast<uint64_t>(update)}).uniform.at(0)];
  }
  double chi_square = 0;
  for (const double count : counts)
    chi_square += (count - kUpdates / 4.0) * (count - kUpdates / 4.0) / (kUpdates / 4.0);
  EXPECT_LT(chi_square, 16.27);
}

double share_of_equal_pairs(int64_t experts, config::Pair pair) {
  const RandomRouter router(experts);
  double equal = 0;
  for (int64_t update = 0; update < kUpdates; ++update) {
    const Route route = route_of(
        router, {.training = true, .update = static_cast<uint64_t>(update), .passes = 2, .pair = pair});
    equal += route.uniform.at(0) == route.uniform.at(1);
  }
  return equal / kUpdates;
}

TEST(RandomRouter, IndependentPairsCoincideAsOftenAsChanceSays) {
  for (const int64_t experts : {2, 5}) {
    const double p = 1.0 / static_cast<double>(experts);
    EXPECT_NEAR(share_of_equal_pairs(experts, config::Pair::kIndependent), p,
                4 * std::sqrt(p * (1 - p) / kUpdates));
    EXPECT_EQ(share_of_equal_pairs(experts, config::Pair::kDistinct), 0);
  }
}

TEST(RandomRouter, LayersAndMicroBatchesDrawForThemselves) {
  const RandomRouter router(2);
  double equal_layers = 0, equal_batches = 0;
  for (uint64_t update = 0; update < kUpdates; ++update) {
    const net::ForwardContext context{.training = true, .update = update};
    net::ForwardContext next = context;
    next.micro_batch = 1;
    const int64_t drawn = route_of(router, context, 0).uniform.at(0);
    equal_layers += drawn == route_of(router, context, 2).uniform.at(0);
    equal_batches += drawn == route_of(router, next, 0).uniform.at(0);
  }
  EXPECT_NEAR(equal_layers / kUpdates, 0.5, 0.02);
  EXPECT_NEAR(equal_batches / kUpdates, 0.5, 0.02);
}

TEST(RandomRouter, APassDrawsTheSameAloneAndInABatch) {
  const RandomRouter router(3);
  for (uint64_t update = 0; update < 50; ++update) {
    const auto both = route_of(router, {.training = true, .update = update, .passes = 2}).uniform;
    const auto second = route_of(router, {.training = true, .update = update, .first_pass = 1}).uniform;
    EXPECT_EQ(both.at(1), second.at(0));
  }
}

TEST(RandomRouter, EvaluationFollowsTheDispatch) {
  const RandomRouter router(8);
  const auto with = [&](const char* text) {
    return route_of(router, {.dispatch = config::parse_dispatch(text, 3)});
  };
  EXPECT_EQ(with("ensemble").kind, Route::Kind::kAll);
  EXPECT_EQ(with("path:5").uniform, std::vector<int64_t>{5});
  EXPECT_EQ(with("path:5,6").uniform, std::vector<int64_t>{6});  // expert layer 1
  EXPECT_EQ(with("batch").kind, Route::Kind::kUniform);
  const Route sentence = with("sentence");
  ASSERT_EQ(sentence.kind, Route::Kind::kPerToken);
  const int64_t* const experts = sentence.experts.data_ptr<int64_t>();
  const config::Dispatch dispatch = config::parse_dispatch("sentence", 3);
  for (int row = 0; row < 6; ++row) {
    const config::TokenPlace place{.sentence = row < 3 ? 7u : 9u,
                                   .position = static_cast<uint64_t>(row % 3),
                                   .stack = config::Stack::kDecoder,
                                   .layer = 0,
                                   .expert_layer = 1};
    EXPECT_EQ(experts[row], config::draw_expert(dispatch, place, 8));
  }
}

}  // namespace
}  // namespace megin::routing
