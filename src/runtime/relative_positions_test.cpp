// Models with relative positions in use: the windows they look at, against plain loops.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "runtime/key_value_cache.h"
#include "runtime/random_weights.h"
#include "runtime/reference_model.h"
#include "runtime/text_scorer.h"
#include "runtime/transformer.h"
#include "text/vocabulary.h"

namespace megin::runtime {
namespace {

using Tokens = std::vector<int32_t>;

config::ModelConfig small_config() {
  config::ModelConfig config;
  config.kind = config::ModelKind::kCausalLm;
  config.width = 12;
  config.feed_forward = 20;
  config.heads = 2;
  config.head_width = 10;
  config.encoder_layers = 0;
  config.decoder_layers = 2;
  config.positions = config::Positions::kRelative;
  config.max_length = 8;
  config.memory = 6;
  config.evaluation_block = 3;
  config.source_vocabulary = config.target_vocabulary = 19;
  return config;
}

Tokens some_text(size_t count) {
  std::mt19937 generator(4);
  Tokens text;
  while (text.size() < count) text.push_back(static_cast<int32_t>(4 + generator() % 15));
  return text;
}

// The window is at most 14 positions, and longer than a block of the cache, or shorter, or all of the text.
TEST(RelativePositions, EqualPlainLoopsInDouble) {
  for (const int64_t max_length : {2, 8, 40}) {
    for (const auto norm : {config::NormPosition::kPost, config::NormPosition::kPre}) {
      config::ModelConfig config = small_config();
      config.max_length = max_length;
      config.evaluation_block = std::min<int64_t>(3, max_length);
      config.norm_position = norm;
      config.scale_attention = max_length != 2;
      config.experts = {.count = 3,
                        .every = 1,
                        .router = config::RouterKind::kTopK,
                        .active = 2,
                        .gate = config::Gate::kSoftmaxOfChosen};
      const config::Dispatch dispatch{.mode = config::DispatchMode::kRouter};
      const auto weights = std::make_shared<Weights>(config, random_weights(config, 2));
      const Transformer model(weights, dispatch);
      const ReferenceModel reference(config, weights->tensors, dispatch);
      const Tokens text = some_text(70);
      const Matrix wanted = reference.log_probs({}, text, 0);
      const auto state = model.begin(std::vector<search::Source>(1), 1);
      std::vector<float> found(19);
      for (size_t t = 0; t < text.size(); ++t) {
        model.step(*state, {&text[t], 1}, found);
        for (size_t v = 0; v < found.size(); ++v) {
          ASSERT_NEAR(found[v], wanted[t][v], 5e-5) << max_length << " step " << t << " id " << v;
        }
      }
    }
  }
}

TEST(RelativePositions, ATokenBeyondTheWindowChangesNothing) {
  config::ModelConfig config = small_config();
  config.decoder_layers = 1;
  const auto weights = std::make_shared<Weights>(config, random_weights(config, 2));
  const Transformer model(weights, {});
  Tokens text = some_text(40);
  const auto last_step = [&] {
    const auto state = model.begin(std::vector<search::Source>(1), 1);
    std::vector<float> found(19);
    for (const int32_t token : text) model.step(*state, {&token, 1}, found);
    return found;
  };
  // Position 39 is the first of block [39, 42), which sees 6 + 8 - 3 = 11 positions before: 28 and on.
  const auto before = last_step();
  text[27] = text[27] == 5 ? 6 : 5;
  EXPECT_EQ(last_step(), before);
  text[28] = text[28] == 5 ? 6 : 5;
  EXPECT_NE(last_step(), before);
}

// The scorer reads a text in parts, each from an empty memory on.
TEST(RelativePositions, TextsAreScoredInParts) {
  const config::ModelConfig config = small_config();
  const auto weights = std::make_shared<Weights>(config, random_weights(config, 2));
  const Transformer model(weights, {});
  const ReferenceModel reference(config, weights->tensors, {});
  const Tokens text = some_text(50);
  ThreadPool pool(2);
  TextScorer scorer(model, 20, {}, pool);
  scorer.add(text);  // and an end mark
  const TextScore found = scorer.finish();
  Tokens whole = text;
  whole.push_back(text::kEndId);
  double wanted = 0;
  for (size_t part = 0; part < whole.size(); part += 20) {
    const size_t end = std::min(part + 20, whole.size());
    Tokens input = {part == 0 ? text::kEndId : whole[part - 1]};
    input.insert(input.end(), whole.begin() + static_cast<int64_t>(part),
                 whole.begin() + static_cast<int64_t>(end) - 1);
    const Matrix log_probs = reference.log_probs({}, input, 0);
    for (size_t t = part; t < end; ++t) {
      wanted += log_probs[t - part][static_cast<size_t>(whole[t])];
    }
  }
  EXPECT_EQ(found.tokens, whole.size());
  EXPECT_NEAR(found.log_probability, wanted, 1e-3);
  EXPECT_EQ(block_of(config), config::kEvaluationPart);
}

TEST(RelativePositions, ACacheKeepsTheLastBlocks) {
  const AttentionShape shape{1, 2};
  KeyValueCache cache(shape, 1, 1, 40);  // three blocks
  for (int64_t t = 0; t < 200; ++t) {
    cache.extend();
    const float values[2] = {static_cast<float>(t), 0.0F};
    store_position(shape, values, values, t % kBlockPositions, cache.block(0, 0, t / kBlockPositions));
    if (t == 77) cache.reorder(std::vector<int64_t>{0});
    for (int64_t past = std::max<int64_t>(0, t - 24); past <= t; ++past) {
      const float* const block = cache.block(0, 0, past / kBlockPositions);
      ASSERT_EQ(block[2 * kBlockPositions + past % kBlockPositions * 2], static_cast<float>(past)) << t;
    }
  }
}

}  // namespace
}  // namespace megin::runtime
