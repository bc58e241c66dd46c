// What models note while they run, where it can be told by hand.
#include "runtime/measurements.h"

#include <map>

#include "runtime/transformer_fixture.h"

namespace megin::runtime {
namespace {

// Random weights, but for tensors whose names end as those of `given`, which repeat these values.
TensorSource with(const ModelConfig& config, const std::map<std::string, std::vector<float>>& given) {
  const TensorSource random = random_weights(config, 3);
  auto kept = std::make_shared<std::map<std::string, std::vector<float>>>();
  return [=](const std::string& name) -> std::span<const float> {
    const std::span<const float> values = random(name);
    for (const auto& [end, repeated] : given) {
      if (!name.ends_with(end)) continue;
      std::vector<float>& own = (*kept)[name];
      if (own.empty()) {
        for (size_t i = 0; i < values.size(); ++i) own.push_back(repeated[i % repeated.size()]);
      }
      return own;
    }
    return values;
  };
}

// Without weights, a unit is active by its bias alone: of four units those two that are positive.
TEST(Measurements, NoteHiddenUnitsOfEachLayer) {
  for (const auto activation : {Activation::kRelu, Activation::kGelu, Activation::kSwiglu}) {
    ModelConfig config = small_config();
    config.feed_forward = 4;
    config.activation = activation;
    const std::string decides = config::is_gated(activation) ? "gate" : "fc1";
    const TensorSource tensors =
        with(config, {{"decoder.layers.1.feed_forward." + decides + ".weight", {0.0F}},
                      {"decoder.layers.1.feed_forward." + decides + ".bias", {0.5F, -0.5F, -0.1F, 0.1F}}});
    const auto weights = std::make_shared<Weights>(config, tensors);
    std::vector<store::UnitActivity> activity(4, store::UnitActivity(4));
    const auto sources = some_sources(2);  // of 1 and 6 tokens
    const auto targets = some_targets(2, 5);
    EXPECT_EQ(feed({weights, {}, {.activity = &activity}}, sources, targets),
              feed({weights, {}}, sources, targets))
        << "noting changes nothing";
    for (const size_t layer : {0u, 1u}) EXPECT_EQ(activity[layer].tokens(), 7);
    for (const size_t layer : {2u, 3u}) EXPECT_EQ(activity[layer].tokens(), 10);
    EXPECT_EQ(activity[3].coactivations(),
              (std::vector<uint32_t>{0, 0, 0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 10, 0, 0, 0}));
  }
}

// A table says which expert each symbol meets, so that votes are counts of symbols.
TEST(Measurements, CountWhatTokensChoose) {
  for (const auto body : {config::ExpertBody::kReplace, config::ExpertBody::kInsert}) {
    ModelConfig config = small_config();
    config.experts = {.count = 3, .body = body, .every = 1, .router = config::RouterKind::kHash};
    std::vector<float> table(19, 0.0F);
    table[5] = table[6] = 1;
    table[7] = 2;
    const auto weights = std::make_shared<Weights>(config, with(config, {{"router.table", table}}));
    const std::vector<Source> sources = {{{5, 6, 7, 2}, 0}};
    const std::vector<Tokens> targets = {{2, 7, 7}};
    const int64_t layers = config::count_expert_layers(config);
    ExpertVotes votes(layers, 3);
    const Dispatch dispatch{.mode = DispatchMode::kRouter};
    EXPECT_EQ(feed({weights, dispatch, {.votes = &votes}}, sources, targets),
              feed({weights, dispatch}, sources, targets));
    for (int64_t layer = 0; layer < layers; ++layer) {
      const bool encoder = layer < layers / 2;
      EXPECT_EQ(votes.counts()[static_cast<size_t>(layer)],
                encoder ? (std::vector<uint64_t>{1, 2, 1}) : (std::vector<uint64_t>{1, 0, 2}));
    }
  }
}

// Of scores that are all alike the first k experts are chosen.
TEST(Measurements, CountEachOfSeveralChoices) {
  ModelConfig config = small_config();
  config.experts = {.count = 4,
                    .every = 1,
                    .router = config::RouterKind::kFixed,
                    .active = 4,
                    .gate = config::Gate::kSoftmaxOfChosen};
  const auto weights = std::make_shared<Weights>(config, with(config, {{"router.weight", {0.0F}}}));
  ExpertVotes votes(4, 4);
  const Transformer model(weights, config::parse_dispatch("k=2", 1), {.votes = &votes});
  feed(model, some_sources(2), some_targets(2, 5));
  EXPECT_EQ(votes.counts()[0], (std::vector<uint64_t>{7, 7, 0, 0}));
  EXPECT_EQ(votes.counts()[3], (std::vector<uint64_t>{10, 10, 0, 0}));
}

}  // namespace
}  // namespace megin::runtime
