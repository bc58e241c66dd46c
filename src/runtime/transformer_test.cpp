#include "runtime/transformer.h"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "base/error.h"
#include "runtime/transformer_fixture.h"
#include "store/tensor_names.h"

namespace megin::runtime {
namespace {

// A model of width 2 whose weights are 0 and whose biases make the numbers: see the test.
TEST(Transformer, GivesTheNumbersWorkedOutByHand) {
  ModelConfig config;
  config.width = config.feed_forward = 2;
  config.heads = config.encoder_layers = config.decoder_layers = 1;
  config.positions = Positions::kLearned;
  config.max_length = 4;
  config.norm_epsilon = 1e-12;
  config.source_vocabulary = config.target_vocabulary = 4;
  std::map<std::string, std::vector<float>> tensors;
  for (const auto& tensor : store::tensor_shapes(config)) {
    size_t size = 1;
    for (const int64_t n : tensor.shape) size *= static_cast<size_t>(n);
    const bool scale = tensor.name.ends_with("norm.weight");
    tensors[tensor.name].assign(size, scale ? 1.0F : 0.0F);
  }
  tensors["embedding.weight"] = {0, 0, 1, 0, 3, 1, 0, 1};
  tensors["decoder.layers.0.cross_attention.key_value.bias"] = {0, 0, 0, 4};
  tensors["decoder.layers.0.cross_attention.output.weight"] = {1, 0, 0, 1};
  tensors["decoder.layers.0.feed_forward.fc2.bias"] = {3, 0};
  const auto weights = std::make_shared<Weights>(
      config, [&](const std::string& name) { return std::span<const float>(tensors.at(name)); });
  const Transformer model(weights, {});
  // Token 2: sqrt(2) (3, 1), normed to (1, -1). Cross-attention adds (0, 4): (1, 3), normed (-1, 1). The
  // feed-forward adds (3, 0): (2, 1), normed h = (1, -1). Logits h E^T = 0, 1, 2, -1; ln of their sum of
  // exponentials 2.4401897.
  const auto steps = feed(model, std::vector<Source>{{{3, 2}, 0}}, {{2}});
  const std::vector<double> wanted = {-2.4401897, -1.4401897, -0.4401897, -3.4401897};
  for (size_t v = 0; v < 4; ++v) EXPECT_NEAR(steps[0][v], wanted[v], 1e-5);
}

TEST(Transformer, EqualsPlainLoopsInDoubleForAllOptions) {
  for (const auto position : {config::NormPosition::kPost, config::NormPosition::kPre}) {
    for (const auto norm : {config::NormKind::kLayerNorm, config::NormKind::kRmsNorm}) {
      for (const auto positions : {Positions::kSinusoidal, Positions::kLearned, Positions::kRotary}) {
        for (const auto share : {config::ShareEmbeddings::kAll, config::ShareEmbeddings::kDecoder,
                                 config::ShareEmbeddings::kNone, config::ShareEmbeddings::kInputs}) {
          for (int activation = 0; activation < 8; ++activation) {
            ModelConfig config = small_config();
            config.norm_position = position;
            config.norm = norm;
            config.positions = positions;
            config.share_embeddings = share;
            config.activation = static_cast<Activation>(activation);
            config.scale_embeddings = activation % 2 == 0;
            config.output_bias = activation % 3 == 0;
            config.begin_vector = activation % 4 == 0;
            config.scale_attention = activation != 5;
            config.scale_output = activation == 6;
            config.biases = activation % 4 != 1;
            if (!config::shares_inputs(config)) config.source_vocabulary = 23;
            expect_equals_reference(config, {}, 4);
            if (HasFatalFailure()) return;
          }
        }
      }
    }
  }
}

TEST(Transformer, EqualsPlainLoopsBeyondOneBlockOfPositions) {
  ModelConfig config = small_config();
  config.width = 80;
  config.positions = Positions::kRotary;
  config.encoder_layers = 3;
  expect_equals_reference(config, {}, 37);
}

// An encoder as BERT's, and a decoder whose embeddings are not normed.
TEST(Transformer, EqualsPlainLoopsWithANormOverTheEncodersEmbeddings) {
  ModelConfig config = small_config();
  config.norm_embeddings = true;
  config.positions = Positions::kLearned;
  config.scale_embeddings = false;
  for (const auto share : {config::ShareEmbeddings::kAll, config::ShareEmbeddings::kDecoder}) {
    config.share_embeddings = share;
    expect_equals_reference(config, {}, 9);
  }
  config.norm = config::NormKind::kRmsNorm;
  expect_equals_reference(config, {}, 9);
}

// Buckets of one distance and of ranges, and keys beyond the last one.
TEST(Transformer, EqualsPlainLoopsWithBucketedPositions) {
  expect_equals_reference(t5_config(), {}, 37);
  ModelConfig config = t5_config();
  config.position_buckets = 4;
  config.position_distance = 3;
  config.activation = Activation::kRelu;
  config.scale_attention = true;
  config.share_embeddings = config::ShareEmbeddings::kAll;
  config.scale_output = true;
  expect_equals_reference(config, {}, 20);
  config.norm_position = config::NormPosition::kPost;
  config.experts = {
      .count = 3, .every = 1, .router = config::RouterKind::kFixed, .active = 3, .gate = config::Gate::kMean};
  expect_equals_reference(config, dispatch_by(DispatchMode::kRouter), 10);
  config.experts = {.count = 2, .body = config::ExpertBody::kInsert, .sublayers = 2, .shared = true};
  expect_equals_reference(config, dispatch_by(DispatchMode::kEnsemble), 10);
  config = t5_config();
  config.kind = config::ModelKind::kCausalLm;
  config.encoder_layers = 0;
  config.begin_vector = false;
  expect_equals_reference(config, {}, 37);
}

TEST(Transformer, EveryDispatchEqualsComputingAllExpertsAndPickingOne) {
  for (const DispatchMode mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kPosition,
                                  DispatchMode::kBatch, DispatchMode::kEnsemble}) {
    SCOPED_TRACE(config::enum_names(mode)[static_cast<size_t>(mode)]);
    expect_equals_reference(expert_config(), dispatch_by(mode, 9), 20);
  }
  expect_equals_reference(expert_config(), dispatch_by(DispatchMode::kPath, 1, {2}), 5);
  expect_equals_reference(expert_config(), dispatch_by(DispatchMode::kPath, 1, {0, 2, 1, 0}), 5);
}

TEST(Transformer, WithEqualExpertsEveryDispatchGivesTheSame) {
  const ModelConfig config = expert_config();
  auto tensors = std::make_shared<std::map<std::string, std::vector<float>>>();
  const TensorSource random = random_weights(config, 4);
  for (const auto& tensor : store::tensor_shapes(config)) {
    const auto values = random(tensor.name);
    std::vector<float>& copy = (*tensors)[tensor.name];
    copy.assign(values.begin(), values.end());
    if (tensor.name.find("feed_forward.fc") == std::string::npos || tensor.shape[0] != 3) continue;
    const auto third = static_cast<std::ptrdiff_t>(copy.size() / 3);
    std::copy_n(copy.begin(), third, copy.begin() + third);
    std::copy_n(copy.begin(), third, copy.begin() + 2 * third);
  }
  const auto weights = std::make_shared<Weights>(
      config, [tensors](const std::string& name) { return std::span<const float>(tensors->at(name)); });
  const auto sources = some_sources(3);
  const auto targets = some_targets(3, 6);
  const auto wanted = feed(Transformer(weights, {}), sources, targets);
  for (const DispatchMode mode : {DispatchMode::kToken, DispatchMode::kPosition, DispatchMode::kBatch}) {
    EXPECT_EQ(feed(Transformer(weights, dispatch_by(mode, 5)), sources, targets), wanted);
  }
  const auto mean = feed(Transformer(weights, dispatch_by(DispatchMode::kEnsemble)), sources, targets);
  for (size_t t = 0; t < mean.size(); ++t) {
    for (size_t i = 0; i < mean[t].size(); ++i) ASSERT_NEAR(mean[t][i], wanted[t][i], 1e-5);
  }
}

TEST(Transformer, ARowsBitsDoNotDependOnTheBatch) {
  for (const DispatchMode mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kEnsemble}) {
    const Transformer model(make_weights(expert_config()), dispatch_by(mode, 3));
    const auto sources = some_sources(40);
    const auto targets = some_targets(40, 18);
    const auto together = feed(model, sources, targets);
    for (size_t s = 0; s < sources.size(); ++s) {
      const auto alone = feed(model, std::span(sources).subspan(s, 1), {targets[s]});
      for (size_t t = 0; t < alone.size(); ++t) {
        ASSERT_EQ(std::memcmp(alone[t].data(), together[t].data() + s * 19, 19 * sizeof(float)), 0)
            << s << " " << t;
      }
    }
  }
}

void expect_reorders(const Transformer& model) {
  const auto sources = some_sources(3);
  std::mt19937 generator(8);
  const auto state = model.begin(sources, 2);
  std::vector<Tokens> pasts(6);
  std::vector<size_t> source_of = {0, 0, 1, 1, 2, 2};
  for (int step = 0; step < 35; ++step) {
    Tokens tokens;
    for (Tokens& past : pasts) {
      tokens.push_back(static_cast<int32_t>(generator() % 19));
      past.push_back(tokens.back());
    }
    std::vector<float> rows(pasts.size() * 19);
    model.step(*state, tokens, rows);
    if (step % 5 == 4) {
      for (size_t r = 0; r < pasts.size(); ++r) {
        const auto fresh = feed(model, std::span(sources).subspan(source_of[r], 1), {pasts[r]});
        ASSERT_EQ(std::memcmp(fresh.back().data(), rows.data() + r * 19, 19 * sizeof(float)), 0) << step;
      }
    }
    std::vector<int64_t> from;
    std::vector<Tokens> next;
    std::vector<size_t> next_source;
    const size_t count = step < 20 ? 1 + generator() % 8 : 2;
    for (size_t i = 0; i < count; ++i) {
      const size_t r = generator() % pasts.size();
      from.push_back(static_cast<int64_t>(r));
      next.push_back(pasts[r]);
      next_source.push_back(source_of[r]);
    }
    model.reorder(*state, from);
    pasts = next;
    source_of = next_source;
  }
}

TEST(Transformer, ReorderedRowsGoOnAsIfTheyHadAlwaysBeenThere) {
  expect_reorders(Transformer(make_weights(expert_config()), {}));
  // A router that looks at the symbols before a token takes them along.
  ModelConfig config = expert_config();
  config.experts = {.count = 5,
                    .every = 1,
                    .router = config::RouterKind::kDistilled,
                    .gate = config::Gate::kSigmoid,
                    .distilled_input = config::DistilledInput::kCnn,
                    .distilled_width = 4};
  expect_reorders(Transformer(make_weights(config), dispatch_by(DispatchMode::kRouter)));
  expect_reorders(Transformer(make_weights(t5_config()), {}));
}

TEST(Transformer, ThreadsShareAModel) {
  const Transformer model(make_weights(expert_config()), {});
  const auto sources = some_sources(6);
  const auto targets = some_targets(6, 10);
  std::vector<std::vector<std::vector<float>>> results(4);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = feed(model, sources, targets); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& result : results) EXPECT_EQ(result, results[0]);
}

TEST(Transformer, SaysWhatIsWrongWithItsInput) {
  const Transformer model(make_weights(small_config()), {});
  EXPECT_THROW(model.begin(std::vector<Source>{{{}, 0}}, 1), Error);
  EXPECT_THROW(model.begin(std::vector<Source>{{Tokens(41, 5), 0}}, 1), Error);
  EXPECT_THROW(model.begin(std::vector<Source>{{{19}, 0}}, 1), Error);
  EXPECT_THROW(Transformer(make_weights(expert_config()), dispatch_by(DispatchMode::kPath, 1, {3})),
               UsageError);
}

TEST(Transformer, NamesATensorOfTheWrongSize) {
  const ModelConfig config = small_config();
  const TensorSource right = random_weights(config, 1);
  const TensorSource wrong = [&](const std::string& name) {
    return name == "encoder.layers.1.feed_forward.fc2.bias" ? right(name).subspan(1) : right(name);
  };
  try {
    Weights(config, wrong);
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("encoder.layers.1.feed_forward.fc2.bias"), std::string::npos);
  }
}

}  // namespace
}  // namespace megin::runtime
