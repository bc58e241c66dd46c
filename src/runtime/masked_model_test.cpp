// Encoder-only models against plain loops in double precision.
#include "runtime/masked_model.h"

#include <gtest/gtest.h>

#include <map>
#include <numeric>

#include "base/error.h"
#include "runtime/transformer_fixture.h"
#include "store/tensor_names.h"

namespace megin::runtime {
namespace {

ModelConfig masked_config() {
  ModelConfig config = small_config();
  config.kind = config::ModelKind::kMaskedLm;
  config.encoder_layers = 3;
  config.decoder_layers = 0;
  config.positions = Positions::kLearned;
  config.activation = Activation::kGelu;
  config.scale_embeddings = false;
  config.norm_embeddings = config.output_transform = config.output_bias = true;
  return config;
}

std::vector<int64_t> all_rows(const TokenStates& states) {
  std::vector<int64_t> rows(static_cast<size_t>(states.tokens()));
  std::iota(rows.begin(), rows.end(), 0);
  return rows;
}

void expect_as_reference(const ModelConfig& config, const Dispatch& dispatch) {
  config::check(config);
  const auto weights = make_weights(config);
  const MaskedModel model(weights, dispatch);
  const ReferenceModel reference(config, weights->tensors, dispatch);
  const auto sources = some_sources(5);
  const TokenStates states = model.states(sources);
  const std::vector<float> found = model.log_probs(states, all_rows(states));
  const auto vocabulary = static_cast<size_t>(config.target_vocabulary);
  ASSERT_EQ(states.offsets.size(), sources.size() + 1);
  for (size_t s = 0; s < sources.size(); ++s) {
    const Matrix wanted = reference.states(sources[s].tokens, sources[s].sentence);
    const Matrix probabilities = reference.log_probs_at(wanted);
    for (size_t t = 0; t < wanted.size(); ++t) {
      const int64_t row = states.offsets[s] + static_cast<int64_t>(t);
      for (size_t c = 0; c < wanted[t].size(); ++c) {
        ASSERT_NEAR(states.row(row)[c], wanted[t][c], 5e-5) << "sentence " << s << " token " << t;
      }
      for (size_t v = 0; v < vocabulary; ++v) {
        ASSERT_NEAR(found[static_cast<size_t>(row) * vocabulary + v], probabilities[t][v], 5e-5)
            << "sentence " << s << " token " << t << " id " << v;
      }
    }
  }
}

// Width 2, all weights 0 but those named: see the test.
TEST(MaskedModel, GivesTheNumbersWorkedOutByHand) {
  ModelConfig config = masked_config();
  config.width = config.feed_forward = 2;
  config.heads = config.encoder_layers = 1;
  config.activation = Activation::kRelu;
  config.norm_epsilon = 1e-12;
  config.max_length = 3;
  config.source_vocabulary = config.target_vocabulary = 4;
  std::map<std::string, std::vector<float>> tensors;
  for (const auto& tensor : store::tensor_shapes(config)) {
    size_t size = 1;
    for (const int64_t n : tensor.shape) size *= static_cast<size_t>(n);
    tensors[tensor.name].assign(size, tensor.name.ends_with("norm.weight") ? 1.0F : 0.0F);
  }
  tensors["embedding.weight"] = {0, 0, 1, 0, 3, 1, 0, 1};
  tensors["embedding_norm.bias"] = {1, 0};
  tensors["encoder.layers.0.self_attention.query_key_value.bias"] = {0, 0, 0, 0, 0, 4};
  tensors["encoder.layers.0.self_attention.output.weight"] = {1, 0, 0, 1};
  tensors["output_transform.weight"] = {1, 0, 0, 1};
  tensors["output_transform.bias"] = {2, 3};
  tensors["output_transform_norm.weight"] = {2, 2};
  tensors["output.bias"] = {0, 0, 0, 1};
  const auto weights = std::make_shared<Weights>(
      config, [&](const std::string& name) { return std::span<const float>(tensors.at(name)); });
  const MaskedModel model(weights, {});
  const TokenStates states = model.states(std::vector<Source>{{{2}, 0}});
  // Token 2: (3, 1), normed (1, -1), with the bias (2, -1). Attention adds (0, 4): (2, 3), normed (-1, 1);
  // the feed-forward adds nothing.
  EXPECT_NEAR(states.row(0)[0], -1, 1e-5);
  EXPECT_NEAR(states.row(0)[1], 1, 1e-5);
  // The transform: (1, 4) through relu, normed twice (-1, 1) = (-2, 2). Logits: 0, -2, -4, 2 + 1.
  const std::vector<float> logits = model.logits(states, std::vector<int64_t>{0});
  const std::vector<double> wanted = {0, -2, -4, 3};
  for (size_t v = 0; v < 4; ++v) EXPECT_NEAR(logits[v], wanted[v], 1e-5);
}

TEST(MaskedModel, EqualsPlainLoopsInDoubleForAllOptions) {
  for (const auto position : {config::NormPosition::kPost, config::NormPosition::kPre}) {
    for (const auto positions : {Positions::kSinusoidal, Positions::kLearned, Positions::kRotary}) {
      for (const auto share : {config::ShareEmbeddings::kAll, config::ShareEmbeddings::kNone}) {
        for (int options = 0; options < 8; ++options) {
          ModelConfig config = masked_config();
          config.norm_position = position;
          config.positions = positions;
          config.share_embeddings = share;
          config.norm_embeddings = (options & 1) != 0;
          config.output_transform = (options & 2) != 0;
          config.output_bias = (options & 4) != 0;
          if (options == 3) config.norm = config::NormKind::kRmsNorm;
          if (options == 7) config.scale_embeddings = true;
          expect_as_reference(config, {});
          if (HasFatalFailure()) return;
        }
      }
    }
  }
}

TEST(MaskedModel, RoutesAsTheReferenceDoes) {
  using config::Gate, config::RouterKind;
  for (const config::ExpertConfig& experts :
       {config::ExpertConfig{.count = 5, .router = RouterKind::kTopK, .gate = Gate::kSoftmax},
        config::ExpertConfig{.count = 5, .router = RouterKind::kSentence, .gate = Gate::kSoftmax},
        config::ExpertConfig{.count = 5, .router = RouterKind::kHash},
        config::ExpertConfig{
            .count = 5, .router = RouterKind::kDistilled, .gate = Gate::kSigmoid, .distilled_width = 4},
        config::ExpertConfig{
            .count = 5, .router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax}}) {
    ModelConfig config = masked_config();
    config.experts = experts;
    expect_as_reference(config, dispatch_by(DispatchMode::kRouter));
    config.experts.body = config::ExpertBody::kInsert;
    config.experts.sublayers = 2;
    expect_as_reference(config, dispatch_by(DispatchMode::kRouter));
  }
  ModelConfig drawn = masked_config();
  drawn.experts = {.count = 3, .every = 1};
  for (const DispatchMode mode : {DispatchMode::kSentence, DispatchMode::kToken, DispatchMode::kEnsemble}) {
    expect_as_reference(drawn, dispatch_by(mode, 7));
  }
}

TEST(MaskedModel, MeetsAnyNumberOfExpertsOfAFixedRouter) {
  ModelConfig config = masked_config();
  config.experts = {.count = 4,
                    .every = 1,
                    .feed_forward = 5,
                    .router = config::RouterKind::kFixed,
                    .active = 4,
                    .gate = config::Gate::kSoftmaxOfChosen};
  for (const std::vector<int64_t>& active :
       {std::vector<int64_t>{}, std::vector<int64_t>{1}, std::vector<int64_t>{3}, {4, 1, 2}}) {
    expect_as_reference(config, {.mode = DispatchMode::kRouter, .active = active});
  }
}

TEST(MaskedModel, ASentencesBitsDoNotDependOnItsNeighbours) {
  ModelConfig config = masked_config();
  config.experts = {.count = 3, .every = 1};
  const auto weights = make_weights(config);
  const MaskedModel model(weights, dispatch_by(DispatchMode::kToken, 3));
  const auto sources = some_sources(6);
  const TokenStates together = model.states(sources);
  const std::vector<float> logits = model.logits(together, all_rows(together));
  for (size_t s = 0; s < sources.size(); ++s) {
    const TokenStates alone = model.states({&sources[s], 1});
    for (int64_t t = 0; t < alone.tokens(); ++t) {
      const auto one = alone.row(t), other = together.row(together.offsets[s] + t);
      EXPECT_TRUE(std::equal(one.begin(), one.end(), other.begin())) << s << " " << t;
    }
    const std::vector<float> last = model.logits(alone, std::vector<int64_t>{alone.tokens() - 1});
    const auto from = logits.begin() + (together.offsets[s + 1] - 1) * config.target_vocabulary;
    EXPECT_TRUE(std::equal(last.begin(), last.end(), from)) << s;
  }
  EXPECT_TRUE(model.logits(together, {}).empty());
}

TEST(MaskedModel, IsNoOtherKindOfModel) {
  EXPECT_THROW(MaskedModel(make_weights(small_config()), {}), UsageError);
  const auto weights = make_weights(masked_config());
  EXPECT_THROW(MaskedModel(weights, config::parse_dispatch("k=2", 1)), UsageError);
  const Transformer next_token(weights, {});
  EXPECT_THROW(next_token.begin(some_sources(1), 1), UsageError);
  const MaskedModel model(weights, {});
  EXPECT_THROW(model.states(std::vector<Source>{{{}, 0}}), Error);
  EXPECT_THROW(model.states(std::vector<Source>{{Tokens(41, 5), 0}}), Error);
  EXPECT_THROW(model.states(std::vector<Source>{{{19}, 0}}), Error);
}

}  // namespace
}  // namespace megin::runtime
