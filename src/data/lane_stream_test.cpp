#include "data/lane_stream.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "data/small_text.h"

namespace megin::data {
namespace {

// Three lanes of four, four and two tokens, in segments of three.
TEST(LaneStream, ReadsLanesSideBySide) {
  const MemoryExamples text = small_text();
  LaneStream stream(text, {.block_tokens = 3, .max_tokens = 9});
  EXPECT_EQ(stream.lanes(), 3);
  EXPECT_EQ(stream.batches(), 2);
  const TokenBatch first = stream.next();
  EXPECT_EQ(first.first_position, 0);
  EXPECT_EQ(first.sentence, (std::vector<int64_t>{0, 1, 2}));
  EXPECT_EQ(first.target_output, (Tokens{10, 11, 12, 13, kEnd, kEnd, 15, kEnd, kPad}));
  EXPECT_EQ(first.target_input, (Tokens{kEnd, 10, 11, kEnd, 13, kEnd, 14, 15, kPad}));
  EXPECT_EQ(first.target_tokens, 8);
  const TokenBatch second = stream.next();  // the last lane has ended
  EXPECT_EQ(second.first_position, 3);
  EXPECT_EQ(second.sentence, (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(second.target_output, (Tokens{kEnd, 14}));
  EXPECT_EQ(second.target_input, (Tokens{12, kEnd}));
  EXPECT_EQ(second.target_tokens, 2);
  EXPECT_EQ(stream.position(), (StreamPosition{1, 0}));
  EXPECT_EQ(stream.next(), first);
}

// Lanes of three tokens, two side by side: 0 and 1, then 2 and the one token of 3.
TEST(LaneStream, LanesOfAGivenLengthComeInGroups) {
  const MemoryExamples text = small_text();
  LaneStream stream(text, {.block_tokens = 2, .max_tokens = 4, .lane_tokens = 3});
  EXPECT_EQ(stream.lanes(), 4);
  EXPECT_EQ(stream.batches(), 4);
  EXPECT_EQ(stream.next().target_output, (Tokens{10, 11, kEnd, 13}));
  EXPECT_EQ(stream.next().target_output, (Tokens{12, kEnd}));
  const TokenBatch third = stream.next();
  EXPECT_EQ(third.first_position, 0);
  EXPECT_EQ(third.sentence, (std::vector<int64_t>{2, 3}));
  EXPECT_EQ(third.target_output, (Tokens{kEnd, 14, kEnd, kPad}));
  EXPECT_EQ(third.target_input, (Tokens{kEnd, kEnd, 15, kPad}));
  EXPECT_EQ(stream.next().target_output, (Tokens{15}));
}

TEST(LaneStream, PiecesOfOneSequenceHaveNoMarksBetween) {
  const MemoryExamples text = small_text();
  LaneStream stream(text, {.block_tokens = 4, .max_tokens = 8, .end_marks = false});
  EXPECT_EQ(stream.tokens(), 6);
  const TokenBatch batch = stream.next();
  EXPECT_EQ(batch.target_output, (Tokens{10, 11, 12, 13, 14, 15}));
  EXPECT_EQ(batch.target_input, (Tokens{kEnd, 10, 11, 12, 13, 14}));
}

TEST(LaneStream, PredictsEveryTokenOnce) {
  MemoryExamples text;
  for (int32_t line = 0; line < 40; ++line) text.add({}, Tokens(static_cast<size_t>(line % 7), 100 + line));
  for (const int64_t lane_tokens : {0, 1, 5, 16, 1000}) {
    for (const int64_t max_tokens : {1, 8, 30, 1000}) {
      LaneStream stream(text, {.block_tokens = 4, .max_tokens = max_tokens, .lane_tokens = lane_tokens});
      Tokens seen(static_cast<size_t>(stream.tokens()), -1);
      const int64_t lane =
          lane_tokens > 0 ? lane_tokens : (stream.tokens() + stream.lanes() - 1) / stream.lanes();
      int64_t count = 0;
      for (int64_t i = stream.batches(); i > 0; --i) {
        const TokenBatch batch = stream.next();
        for (int64_t row = 0; row < batch.sentences; ++row) {
          for (int64_t t = 0; t < batch.target_length; ++t) {
            const int32_t token = batch.target_output[static_cast<size_t>(row * batch.target_length + t)];
            if (token == kPad) continue;
            seen.at(static_cast<size_t>(batch.sentence[static_cast<size_t>(row)] * lane +
                                        batch.first_position + t)) = token;
            ++count;
          }
        }
      }
      EXPECT_EQ(count, stream.tokens());
      Tokens all(seen.size());
      RunningText(text, true).copy(0, stream.tokens(), all.data());
      EXPECT_EQ(seen, all) << lane_tokens << " " << max_tokens;
    }
  }
}

TEST(LaneStream, MayBeCutShortAndGoesOnFromAnyPosition) {
  const MemoryExamples text = small_text();
  LaneStream cut(text, {.block_tokens = 3, .max_tokens = 6, .tokens = 7});
  EXPECT_EQ(cut.tokens(), 7);
  EXPECT_EQ(cut.lanes(), 2);
  LaneStream stream(text, {.block_tokens = 3, .max_tokens = 6});
  stream.next();
  const StreamPosition position = stream.position();
  const TokenBatch wanted = stream.next();
  LaneStream other(text, {.block_tokens = 3, .max_tokens = 6});
  other.seek(position);
  EXPECT_EQ(other.next(), wanted);
  EXPECT_THROW(other.seek({0, 99}), Error);
  EXPECT_THROW(LaneStream(MemoryExamples(), {}), Error);
}

}  // namespace
}  // namespace megin::data
