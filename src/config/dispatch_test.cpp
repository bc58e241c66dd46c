#include "config/dispatch.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "base/error.h"
#include "base/random.h"

namespace megin::config {
namespace {

constexpr DispatchMode kDrawing[] = {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kPosition,
                                     DispatchMode::kBatch};

// The experts that `vary` sees over 64 values of one coordinate.
template <typename Vary>
size_t different_experts(DispatchMode mode, Vary vary) {
  std::set<int64_t> seen;
  for (uint64_t i = 0; i < 64; ++i) {
    TokenPlace place{.sentence = 5, .position = 6, .stack = Stack::kEncoder, .layer = 2, .expert_layer = 1};
    Dispatch dispatch{.mode = mode, .seed = 9, .path = {}};
    vary(dispatch, place, i);
    seen.insert(draw_expert(dispatch, place, 8));
  }
  return seen.size();
}

TEST(ParseDispatchTest, ReadsAndPrintsEveryForm) {
  for (const char* text : {"sentence", "token", "position", "batch", "ensemble", "path:3", "path:0,1,1,0"}) {
    EXPECT_EQ(to_string(parse_dispatch(text, 4)), text);
    EXPECT_EQ(parse_dispatch(text, 4).seed, 4u);
  }
  EXPECT_EQ(parse_dispatch("path:0,12", 1).path, (std::vector<int64_t>{0, 12}));
}

TEST(ParseDispatchTest, ListsTheFormsWhenThereIsNoSuch) {
  for (const char* text :
       {"", "sentences", "path", "path:", "path:a", "path:1,", "path:-1", "path:1;2", "path: 1"}) {
    try {
      parse_dispatch(text, 1);
      FAIL() << text;
    } catch (const UsageError& error) {
      EXPECT_EQ(std::string(error.what()),
                std::string("wanted sentence, token, position, batch, ensemble, router, k=K with so many "
                            "experts a token, or path:E with one expert, for all expert layers or one for "
                            "each, as k=8,4 and path:0,1; found '") +
                    text + "'");
    }
  }
}

TEST(DrawExpertTest, DependsOnWhatItsModeSaysAndOnNothingElse) {
  const auto sentence = [](Dispatch&, TokenPlace& p, uint64_t i) { p.sentence = i; };
  const auto position = [](Dispatch&, TokenPlace& p, uint64_t i) { p.position = i; };
  const auto layer = [](Dispatch&, TokenPlace& p, uint64_t i) { p.layer = i; };
  const auto expert_layer = [](Dispatch&, TokenPlace& p, uint64_t i) { p.expert_layer = i; };
  const auto seed = [](Dispatch& d, TokenPlace&, uint64_t i) { d.seed = i; };

  EXPECT_EQ(different_experts(DispatchMode::kSentence, position), 1u);
  EXPECT_GT(different_experts(DispatchMode::kSentence, sentence), 4u);
  EXPECT_GT(different_experts(DispatchMode::kToken, position), 4u);
  EXPECT_GT(different_experts(DispatchMode::kToken, sentence), 4u);
  EXPECT_GT(different_experts(DispatchMode::kPosition, position), 4u);
  EXPECT_EQ(different_experts(DispatchMode::kPosition, sentence), 1u);
  EXPECT_EQ(different_experts(DispatchMode::kBatch, position), 1u);
  EXPECT_EQ(different_experts(DispatchMode::kBatch, sentence), 1u);
  for (const DispatchMode mode : kDrawing) {
    EXPECT_GT(different_experts(mode, layer), 4u);
    EXPECT_GT(different_experts(mode, seed), 4u);
    EXPECT_EQ(different_experts(mode, expert_layer), 1u);
  }
}

TEST(DrawExpertTest, StacksDrawOnTheirOwn) {
  for (const DispatchMode mode : kDrawing) {
    int same = 0;
    for (uint64_t seed = 0; seed < 1000; ++seed) {
      const Dispatch dispatch{.mode = mode, .seed = seed, .path = {}};
      TokenPlace place;
      const int64_t encoder = draw_expert(dispatch, place, 2);
      place.stack = Stack::kDecoder;
      same += encoder == draw_expert(dispatch, place, 2);
    }
    EXPECT_NEAR(same, 500, 80);  // 5 standard deviations of a fair coin
  }
}

TEST(DrawExpertTest, IsUniform) {
  constexpr int64_t kExperts = 16, kDraws = 160'000;
  std::vector<int64_t> counts(kExperts);
  for (int64_t i = 0; i < kDraws; ++i) {
    const TokenPlace place{.sentence = static_cast<uint64_t>(i / 20),
                           .position = static_cast<uint64_t>(i % 20)};
    ++counts[static_cast<size_t>(
        draw_expert({.mode = DispatchMode::kToken, .seed = 3, .path = {}}, place, kExperts))];
  }
  double chi_square = 0.0;
  constexpr double kExpected = static_cast<double>(kDraws) / kExperts;
  for (const int64_t count : counts) {
    chi_square +=
        (static_cast<double>(count) - kExpected) * (static_cast<double>(count) - kExpected) / kExpected;
  }
  EXPECT_LT(chi_square, 37.70);  // 15 degrees of freedom, p = 0.001
  EXPECT_GT(chi_square, 2.0);    // draws are no round robin either: p = 0.99998 to be above
}

TEST(DrawExpertTest, FollowsAPath) {
  TokenPlace place;
  place.layer = 4;
  place.expert_layer = 2;
  EXPECT_EQ(draw_expert(parse_dispatch("path:3", 1), place, 4), 3);
  EXPECT_EQ(draw_expert(parse_dispatch("path:0,1,2,3", 1), place, 4), 2);
}

TEST(DrawExpertTest, OneExpertIsAlwaysDrawn) {
  for (const DispatchMode mode : kDrawing)
    EXPECT_EQ(draw_expert({.mode = mode, .seed = 7, .path = {}}, {}, 1), 0);
}

// A model with so many expert layers, half of them in each stack.
ModelConfig with_layers(ExpertConfig experts, int64_t layers) {
  ModelConfig model;
  experts.every = 1;
  model.experts = experts;
  model.encoder_layers = model.decoder_layers = std::max<int64_t>(1, layers / 2);
  return model;
}

TEST(CheckDispatchTest, ComparesAPathWithTheModel) {
  const auto error_of = [](const char* text, int64_t experts, int64_t layers) -> std::string {
    try {
      check(parse_dispatch(text, 1), with_layers({.count = experts}, layers));
    } catch (const UsageError& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(error_of("path:1", 2, 4), "");
  EXPECT_EQ(error_of("path:0,1,1,0", 2, 4), "");
  EXPECT_EQ(error_of("path:0", 1, 0), "");
  EXPECT_EQ(error_of("ensemble", 1, 0), "");
  EXPECT_EQ(error_of("token", 1, 0), "");
  EXPECT_EQ(error_of("path:2", 2, 4),
            "path:2: wanted experts from 0 to 1, found 2; this model has 2 experts a layer");
  EXPECT_EQ(error_of("path:1", 1, 0),
            "path:1: wanted experts from 0 to 0, found 1; this model has 1 expert a layer");
  EXPECT_EQ(error_of("path:0,0", 1, 0),
            "path:0,0: this model is dense, it has no expert layers; leave the path out");
  EXPECT_EQ(error_of("path:0,1", 2, 4),
            "path:0,1: wanted 1 expert or 4 (one for each expert layer, encoder first), found 2");
}

TEST(CheckDispatchTest, KnowsWhichModelsHaveARouter) {
  const ModelConfig random = with_layers({.count = 2}, 2),
                    learned =
                        with_layers({.count = 2, .router = RouterKind::kTopK, .gate = Gate::kSoftmax}, 2),
                    by_sentence =
                        with_layers({.count = 2, .router = RouterKind::kSentence, .gate = Gate::kSoftmax}, 2),
                    two = with_layers({.count = 4, .router = RouterKind::kTopK, .active = 2}, 2);
  EXPECT_NO_THROW(check(parse_dispatch("router", 1), learned));
  EXPECT_THROW(check(parse_dispatch("ensemble", 1), learned), UsageError);
  EXPECT_THROW(check(parse_dispatch("router", 1), random), UsageError);
  EXPECT_NO_THROW(check(parse_dispatch("router", 1), ModelConfig{})) << "dense: all the same";
  const auto automatic = [](RouterKind router) {
    return parse_dispatch_or_auto("auto", 1, with_layers({.count = 2, .router = router}, 2),
                                  DispatchMode::kSentence)
        .mode;
  };
  EXPECT_EQ(automatic(RouterKind::kRandom), DispatchMode::kSentence);
  EXPECT_EQ(automatic(RouterKind::kUniform), DispatchMode::kToken);
  EXPECT_EQ(automatic(RouterKind::kHash), DispatchMode::kRouter);
  // Drawn past a router: one expert of a token, chosen by the token.
  for (const char* mode : {"sentence", "token", "position", "batch", "path:1"}) {
    EXPECT_NO_THROW(check(parse_dispatch(mode, 1), learned)) << mode;
    EXPECT_THROW(check(parse_dispatch(mode, 1), by_sentence), UsageError) << mode;
    EXPECT_THROW(check(parse_dispatch(mode, 1), two), UsageError) << mode;
  }
  Dispatch gated = parse_dispatch("router", 1);
  gated.gate = 1.0F;
  EXPECT_NO_THROW(check(gated, learned));
  gated.mode = DispatchMode::kToken;
  EXPECT_NO_THROW(check(gated, learned));
  EXPECT_THROW(check(gated, random), UsageError) << "no gate to replace";
  EXPECT_THROW(check(gated, ModelConfig{}), UsageError);
}

TEST(CheckDispatchTest, AMixtureServesItsComponents) {
  ModelConfig mixture;
  mixture.mixture.components = 3;
  const auto automatic = [&] {
    return to_string(parse_dispatch_or_auto("auto", 1, mixture, DispatchMode::kSentence));
  };
  EXPECT_EQ(automatic(), "router");
  EXPECT_NO_THROW(check(parse_dispatch("router", 1), mixture));
  EXPECT_NO_THROW(check(parse_dispatch("path:2", 1), mixture));
  for (const char* wrong : {"path:3", "path:0,1", "sentence", "ensemble", "k=1"})
    EXPECT_THROW(check(parse_dispatch(wrong, 1), mixture), UsageError) << wrong;
  mixture.mixture.prior = MixturePrior::kUniform;
  EXPECT_EQ(automatic(), "path:0");
  EXPECT_THROW(check(parse_dispatch("router", 1), mixture), UsageError) << "none is likelier";
}

TEST(DispatchTest, AnElasticRouterTakesAnyNumberOfExperts) {
  const Dispatch four = parse_dispatch("k=4", 3);
  EXPECT_EQ(four.mode, DispatchMode::kRouter);
  EXPECT_EQ(four.active, std::vector<int64_t>{4});
  EXPECT_EQ(to_string(four), "k=4");
  const ExpertConfig fixed{
      .count = 8, .router = RouterKind::kFixed, .active = 6, .gate = Gate::kSoftmaxOfChosen};
  EXPECT_NO_THROW(check(four, with_layers(fixed, 2)));
  EXPECT_EQ(active_experts(four, fixed, 1), 4);
  EXPECT_EQ(active_experts({.mode = DispatchMode::kRouter}, fixed, 1), 6);
  EXPECT_EQ(most_active_experts({.mode = DispatchMode::kRouter}, fixed), 6);
  EXPECT_THROW(check(parse_dispatch("k=9", 1), with_layers(fixed, 2)), UsageError);
  EXPECT_THROW(check(four, with_layers({.count = 8, .router = RouterKind::kHash}, 2)), UsageError);
  EXPECT_THROW(check(four, with_layers({.count = 8, .router = RouterKind::kRandom}, 2)), UsageError);
  for (const char* wrong : {"k=", "k=0", "k=-1", "k=1,0", "k=1,", "k=x"})
    EXPECT_THROW(parse_dispatch(wrong, 1), UsageError);
}

TEST(DispatchTest, AnElasticRouterTakesANumberForEachExpertLayer) {
  const ExpertConfig fixed{
      .count = 8, .router = RouterKind::kFixed, .active = 6, .gate = Gate::kSoftmaxOfChosen};
  const ModelConfig model = with_layers(fixed, 2);
  ASSERT_EQ(count_expert_layers(model), 2);
  const Dispatch two = parse_dispatch("k=8,3", 3);
  EXPECT_EQ(to_string(two), "k=8,3");
  EXPECT_NO_THROW(check(two, model));
  EXPECT_EQ(active_experts(two, fixed, 0), 8);
  EXPECT_EQ(active_experts(two, fixed, 1), 3);
  EXPECT_EQ(most_active_experts(two, fixed), 8);
  EXPECT_THROW(check(parse_dispatch("k=8,9", 1), model), UsageError);
  try {
    check(parse_dispatch("k=8,4,2", 1), model);
    FAIL();
  } catch (const UsageError& error) {
    EXPECT_STREQ(
        error.what(),
        "k=8,4,2: wanted 1 number of experts or 2 (one for each expert layer, encoder first), found 3");
  }
}

// Every 3 of 5 experts come alike, and their gates are what the scores, which the draws are, give.
TEST(DrawExpertsTest, TakesTheHighestOfItsDraws) {
  ExpertConfig experts{
      .count = 5, .router = RouterKind::kUniform, .active = 3, .gate = Gate::kSoftmaxOfChosen};
  std::map<std::set<int64_t>, int> seen;
  constexpr int kDraws = 10'000;
  for (uint64_t index = 0; index < kDraws; ++index) {
    std::vector<int64_t> chosen(3);
    std::vector<float> gates(3);
    draw_experts(99, index, experts, {.experts = chosen, .gates = gates});
    ++seen[std::set(chosen.begin(), chosen.end())];
    double sum = 0;
    for (const int64_t e : chosen) sum += std::exp(draw_uniform(99, 5 * index + static_cast<uint64_t>(e)));
    for (size_t c = 0; c < 3; ++c) {
      EXPECT_NEAR(gates[c], std::exp(draw_uniform(99, 5 * index + static_cast<uint64_t>(chosen[c]))) / sum,
                  1e-6);
      if (c == 0) continue;
      EXPECT_LE(gates[c], gates[c - 1]);
    }
  }
  EXPECT_EQ(seen.size(), 10u) << "5 over 3";
  for (const auto& [chosen, count] : seen) EXPECT_NEAR(count, kDraws / 10, 150);  // five standard deviations
  experts.gate = Gate::kMean;
  std::vector<int64_t> chosen(3);
  std::vector<float> gates(3);
  draw_experts(99, 0, experts, {.experts = chosen, .gates = gates});
  EXPECT_EQ(gates, std::vector<float>(3, 1.0F / 3));
}

TEST(DrawExpertsTest, DependsOnThePlaceAsItsModeSays) {
  const ExpertConfig experts{.count = 8, .router = RouterKind::kUniform, .active = 3, .gate = Gate::kMean};
  const auto chosen = [&](DispatchMode mode, const TokenPlace& place) {
    std::vector<int64_t> of(3);
    draw_experts({.mode = mode, .seed = 9}, place, experts, {.experts = of, .gates = {}});
    return of;
  };
  const TokenPlace here{.sentence = 3, .position = 4}, later{.sentence = 3, .position = 5},
      other{.sentence = 4, .position = 4};
  EXPECT_EQ(chosen(DispatchMode::kSentence, here), chosen(DispatchMode::kSentence, later));
  EXPECT_NE(chosen(DispatchMode::kSentence, here), chosen(DispatchMode::kSentence, other));
  EXPECT_NE(chosen(DispatchMode::kToken, here), chosen(DispatchMode::kToken, later));
  EXPECT_EQ(chosen(DispatchMode::kPosition, here), chosen(DispatchMode::kPosition, other));
  EXPECT_EQ(chosen(DispatchMode::kBatch, here), chosen(DispatchMode::kBatch, other));
}

}  // namespace
}  // namespace megin::config
