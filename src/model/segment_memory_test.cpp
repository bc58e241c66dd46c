// A model with relative positions reads a text in segments as if it had read it in one.
#include "model/segment_memory.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "data/lane_stream.h"
#include "model/layer.h"
#include "model/transformer.h"
#include "net/gradient_check.h"
#include "net/initialisation.h"

namespace megin::model {
namespace {

config::ModelConfig small_model(int64_t memory) {
  config::ModelConfig config;
  config.kind = config::ModelKind::kCausalLm;
  config.width = 16;
  config.feed_forward = 24;
  config.heads = 2;
  config.encoder_layers = 0;
  config.decoder_layers = 3;
  config.dropout = 0.2;
  config.positions = config::Positions::kRelative;
  config.max_length = 4;
  config.memory = memory;
  config.source_vocabulary = config.target_vocabulary = 30;
  return config;
}

data::MemoryExamples text_of(int32_t tokens) {
  data::MemoryExamples examples;
  std::vector<int32_t> line;
  for (int32_t t = 0; t + 1 < tokens; ++t) line.push_back(5 + (t * t) % 23);
  examples.add({}, line);
  return examples;
}

// States of each batch, one row of `lanes` after the other, put together to [lanes, positions, d].
at::Tensor read(const Transformer& model, const data::ExampleSource& text,
                const data::LaneStreamOptions& options, const net::ForwardContext& context) {
  data::LaneStream stream(text, options);
  SegmentMemory memory;
  std::vector<at::Tensor> parts;
  for (int64_t i = stream.batches(); i > 0; --i) {
    const data::TokenBatch batch = stream.next();
    const at::Tensor states = model.forward(batch, context, nullptr, {}, &memory);
    parts.push_back(states.detach().view({context.passes * batch.sentences, batch.target_length, -1}));
  }
  return at::cat(parts, 1);
}

TEST(SegmentMemory, SegmentsThatSeeEverythingAreTheWholeText) {
  for (const auto norm : {config::NormPosition::kPost, config::NormPosition::kPre}) {
    config::ModelConfig config = small_model(100);
    config.norm_position = norm;
    Transformer model(config);
    net::initialise(model.parameters(), config, 3);
    const data::MemoryExamples text = text_of(24);
    const net::ForwardContext context{.training = false};
    const at::Tensor whole = read(model, text, {.block_tokens = 12, .max_tokens = 24}, context);
    ASSERT_EQ(whole.size(0), 2);
    for (const int64_t block : {1, 3, 4}) {
      const at::Tensor segments =
          read(model, text, {.block_tokens = block, .max_tokens = 2 * block}, context);
      EXPECT_TRUE(at::allclose(segments, whole, 1e-4, 1e-5)) << block;
    }
  }
}

// In training nothing is seen beyond the memory: of three layers' reach, 3 * 2 before a segment.
TEST(SegmentMemory, ForgetsWhatIsFartherBack) {
  const config::ModelConfig config = small_model(2);
  Transformer model(config);
  net::initialise(model.parameters(), config, 3);
  const net::ForwardContext context{.training = true, .update = 1};
  data::MemoryExamples one, other;
  std::vector<int32_t> line(23, 7);
  one.add({}, line);
  line[8] = 9;  // the input at position 9, in the third segment
  other.add({}, line);
  const data::LaneStreamOptions options{.block_tokens = 4, .max_tokens = 4};
  const at::Tensor a = read(model, one, options, context), b = read(model, other, options, context);
  const at::Tensor differs = at::ne(a, b).any(-1).squeeze(0);
  // Position 9 is not remembered from segment [8, 12) by the one after it (its last two are 10 and 11), but
  // what 10 and 11 made of it is.
  for (int64_t t = 0; t < 9; ++t) EXPECT_FALSE(differs[t].item<bool>()) << t;
  for (int64_t t = 9; t < 20; ++t) EXPECT_TRUE(differs[t].item<bool>()) << t;
  for (int64_t t = 20; t < 24; ++t) EXPECT_FALSE(differs[t].item<bool>()) << t;
}

TEST(SegmentMemory, TwoPassesRememberEachItsOwn) {
  const config::ModelConfig config = small_model(6);
  Transformer model(config);
  net::initialise(model.parameters(), config, 3);
  const data::MemoryExamples text = text_of(30);
  const data::LaneStreamOptions options{.block_tokens = 4, .max_tokens = 8};
  const at::Tensor both = read(model, text, options, {.training = true, .update = 1, .passes = 2});
  for (int64_t pass = 0; pass < 2; ++pass) {
    const at::Tensor one =
        read(model, text, options, {.training = true, .update = 1, .first_pass = pass, .passes = 1});
    EXPECT_TRUE(at::allclose(both.narrow(0, 2 * pass, 2), one, 1e-5, 1e-6)) << pass;
  }
  EXPECT_FALSE(at::allclose(both.narrow(0, 0, 2), both.narrow(0, 2, 2), 1e-3, 1e-3));
}

TEST(SegmentMemory, ABatchAtPositionZeroForgetsEverything) {
  const config::ModelConfig config = small_model(6);
  Transformer model(config);
  net::initialise(model.parameters(), config, 3);
  const data::MemoryExamples text = text_of(8);
  data::LaneStream stream(text, {.block_tokens = 4, .max_tokens = 4});
  const data::TokenBatch first = stream.next(), second = stream.next();
  SegmentMemory memory;
  const net::ForwardContext context{.training = false};
  const at::Tensor fresh = model.forward(first, context, nullptr, {}, &memory);
  model.forward(second, context, nullptr, {}, &memory);
  EXPECT_TRUE(at::equal(model.forward(first, context, nullptr, {}, &memory), fresh));
}

}  // namespace
}  // namespace megin::model
