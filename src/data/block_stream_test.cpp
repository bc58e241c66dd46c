#include "data/block_stream.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/error.h"
#include "data/small_text.h"

namespace megin::data {
namespace {

TEST(BlockStream, CutsTheTextAndShiftsItByOne) {
  const MemoryExamples text = small_text();
  BlockStream stream(text, {.block_tokens = 4, .max_tokens = 100, .shuffle = false});
  EXPECT_EQ(stream.tokens(), 10);
  EXPECT_EQ(stream.blocks(), 3);
  EXPECT_EQ(stream.batches(), 1);
  const TokenBatch batch = stream.next();
  EXPECT_EQ(batch.target_output, (Tokens{10, 11, 12, kEnd, 13, kEnd, kEnd, 14, 15, kEnd, kPad, kPad}));
  EXPECT_EQ(batch.target_input, (Tokens{kEnd, 10, 11, 12, kEnd, 13, kEnd, kEnd, 14, 15, kPad, kPad}));
  EXPECT_EQ(batch.sentence, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(batch.target_tokens, 10);
  EXPECT_EQ(batch.source_tokens, 0);
  EXPECT_TRUE(batch.source.empty());
  EXPECT_EQ(stream.position(), (StreamPosition{1, 0}));
}

// Of bytes the examples are pieces of one sequence, 10 to 15.
TEST(BlockStream, WithoutEndMarksPiecesAreOneSequence) {
  const MemoryExamples text = small_text();
  BlockStream stream(text, {.block_tokens = 4, .max_tokens = 100, .shuffle = false, .end_marks = false});
  EXPECT_EQ(stream.tokens(), 6);
  const TokenBatch batch = stream.next();
  EXPECT_EQ(batch.target_output, (Tokens{10, 11, 12, 13, 14, 15, kPad, kPad}));
  EXPECT_EQ(batch.target_input, (Tokens{kEnd, 10, 11, 12, 13, 14, kPad, kPad}));
  EXPECT_EQ(batch.target_tokens, 6);
}

TEST(BlockStream, ABatchHoldsWhatFitsAndAtLeastOneBlock) {
  const MemoryExamples text = small_text();
  EXPECT_EQ(BlockStream(text, {.block_tokens = 4, .max_tokens = 8}).batches(), 2);
  EXPECT_EQ(BlockStream(text, {.block_tokens = 4, .max_tokens = 11}).batches(), 2);
  EXPECT_EQ(BlockStream(text, {.block_tokens = 4, .max_tokens = 1}).batches(), 3);
  EXPECT_EQ(BlockStream(text, {.block_tokens = 1, .max_tokens = 1}).batches(), 10);
  EXPECT_EQ(BlockStream(text, {.block_tokens = 10, .max_tokens = 1}).batches(), 1);
}

TEST(BlockStream, MayBeCutShort) {
  const MemoryExamples text = small_text();
  BlockStream stream(text, {.block_tokens = 4, .max_tokens = 100, .shuffle = false, .blocks = 2});
  EXPECT_EQ(stream.blocks(), 2);
  EXPECT_EQ(stream.next().target_tokens, 8);
  EXPECT_EQ(BlockStream(text, {.block_tokens = 4, .blocks = 9}).blocks(), 3);
}

// A longer text, so that orders differ.
MemoryExamples long_text() {
  MemoryExamples text;
  for (int32_t line = 0; line < 60; ++line) {
    Tokens tokens;
    for (int32_t i = 0; i < line % 7; ++i) tokens.push_back(10 + line);
    text.add({}, tokens);
  }
  return text;
}

TEST(BlockStream, EveryEpochPredictsEveryTokenOnceInAnotherOrder) {
  const MemoryExamples text = long_text();
  const BlockStreamOptions options{.block_tokens = 5, .max_tokens = 15, .seed = 3};
  BlockStream shuffled(text, options);
  BlockStreamOptions in_order = options;
  in_order.shuffle = false;
  BlockStream straight(text, in_order);
  Tokens wanted;
  for (int64_t i = straight.batches(); i > 0; --i) {
    for (const int32_t token : straight.next().target_output) {
      if (token != kPad) wanted.push_back(token);
    }
  }
  EXPECT_EQ(static_cast<int64_t>(wanted.size()), straight.tokens());
  std::ranges::sort(wanted);
  std::vector<std::vector<int64_t>> orders;
  for (int epoch = 0; epoch < 2; ++epoch) {
    Tokens found;
    orders.emplace_back();
    for (int64_t i = shuffled.batches(); i > 0; --i) {
      const TokenBatch batch = shuffled.next();
      orders.back().insert(orders.back().end(), batch.sentence.begin(), batch.sentence.end());
      for (const int32_t token : batch.target_output) {
        if (token != kPad) found.push_back(token);
      }
    }
    std::ranges::sort(found);
    EXPECT_EQ(found, wanted);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(BlockStream, SeekingGivesTheBatchesThatFollow) {
  const MemoryExamples text = long_text();
  const BlockStreamOptions options{.block_tokens = 5, .max_tokens = 15, .seed = 3};
  BlockStream through(text, options);
  std::vector<StreamPosition> positions;
  std::vector<TokenBatch> batches;
  for (int i = 0; i < 30; ++i) {
    positions.push_back(through.position());
    batches.push_back(through.next());
  }
  BlockStream jumping(text, options);
  for (const size_t i : {29u, 0u, 13u, 14u}) {
    jumping.seek(positions[i]);
    EXPECT_EQ(jumping.next(), batches[i]) << i;
  }
  EXPECT_THROW(jumping.seek({0, jumping.batches()}), Error);
  EXPECT_THROW(jumping.seek({-1, 0}), Error);
}

TEST(BlockStream, RefusesWhatHasNoTokens) {
  const MemoryExamples none;
  EXPECT_THROW(BlockStream(none, {}), Error);
  const MemoryExamples text = small_text();
  EXPECT_THROW(BlockStream(text, {.block_tokens = 0}), UsageError);
}

}  // namespace
}  // namespace megin::data
