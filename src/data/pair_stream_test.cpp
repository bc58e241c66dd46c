#include "data/pair_stream.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/error.h"
#include "base/random.h"

namespace megin::data {
namespace {

using testing::Each;
using testing::ElementsAre;

std::vector<int32_t> tokens(int64_t count, int32_t first = 4) {
  std::vector<int32_t> list(static_cast<size_t>(count));
  for (size_t i = 0; i < list.size(); ++i) list[i] = first + static_cast<int32_t>(i);
  return list;
}

// Pairs of drawn lengths from 0 to 39, of corpora 0, 1, 2, 0, ...
MemoryExamples random_examples(int64_t count) {
  MemoryExamples examples;
  const uint64_t key = draw_key(3, Purpose::kSampling);
  for (int64_t i = 0; i < count; ++i) {
    const auto n = static_cast<uint64_t>(i);
    examples.add(tokens(static_cast<int64_t>(draw_index(key, 2 * n, 40))),
                 tokens(static_cast<int64_t>(draw_index(key, 2 * n + 1, 40))), static_cast<int32_t>(i % 3));
  }
  return examples;
}

std::vector<TokenBatch> epoch_of(PairStream& stream) {
  std::vector<TokenBatch> list;
  for (int64_t left = stream.batches(); left > 0; --left) list.push_back(stream.next());
  return list;
}

std::map<int64_t, int> draws(const std::vector<TokenBatch>& batches) {
  std::map<int64_t, int> count;
  for (const TokenBatch& batch : batches) {
    for (const int64_t sentence : batch.sentence) ++count[sentence];
  }
  return count;
}

TEST(TokenBatch, IsPaddedOnTheRightAndShiftedByTheEndMark) {
  MemoryExamples examples;
  examples.add({5, 6}, {7});
  examples.add({8}, {9, 10, 11});
  const TokenBatch batch = make_batch(examples, std::vector<int64_t>{1, 0});
  EXPECT_EQ(batch.sentences, 2);
  EXPECT_EQ(batch.source_length, 3);
  EXPECT_EQ(batch.target_length, 4);
  EXPECT_THAT(batch.source, ElementsAre(8, 2, 1, 5, 6, 2));
  EXPECT_THAT(batch.target_input, ElementsAre(2, 9, 10, 11, 2, 7, 1, 1));
  EXPECT_THAT(batch.target_output, ElementsAre(9, 10, 11, 2, 7, 2, 1, 1));
  EXPECT_THAT(batch.sentence, ElementsAre(1, 0));
  EXPECT_EQ(batch.source_tokens, 5);
  EXPECT_EQ(batch.target_tokens, 6);
}

TEST(TokenBatch, EmptySidesAreTheirEndMark) {
  MemoryExamples examples;
  examples.add({}, {});
  const TokenBatch batch = make_batch(examples, std::vector<int64_t>{0});
  EXPECT_THAT(batch.source, ElementsAre(2));
  EXPECT_THAT(batch.target_input, ElementsAre(2));
  EXPECT_THAT(batch.target_output, ElementsAre(2));
}

// Worked out by hand from the rule: sizes with the end mark 2 2 2 2 2 3 3 3 3 4 6, at most 24 tokens. Eight
// of size up to 3 fill a batch; 3 4 6 are 18 tokens.
TEST(PairStream, CutsGreedilyByTokens) {
  MemoryExamples examples;
  for (const int64_t source : {1, 1, 1, 1, 1, 2, 2, 2, 2, 3, 5}) examples.add(tokens(source), tokens(1));
  PairStream stream(examples, {.max_tokens = 24, .shuffle = false});
  ASSERT_EQ(stream.batches(), 2);
  EXPECT_THAT(stream.next().sentence, ElementsAre(0, 1, 2, 3, 4, 5, 6, 7));
  EXPECT_THAT(stream.next().sentence, ElementsAre(8, 9, 10));
}

// Eleven of size 2 in 20 tokens: ten would fit, but above seven only multiples of eight are taken.
TEST(PairStream, TakesMultiplesOfEight) {
  MemoryExamples examples;
  for (int i = 0; i < 11; ++i) examples.add(tokens(1), tokens(1));
  PairStream stream(examples, {.max_tokens = 20, .shuffle = false});
  ASSERT_EQ(stream.batches(), 2);
  EXPECT_EQ(stream.next().sentences, 8);
  EXPECT_EQ(stream.next().sentences, 3);
}

TEST(PairStream, SortsBySourceThenTargetLength) {
  MemoryExamples examples;
  examples.add(tokens(3), tokens(1));
  examples.add(tokens(1), tokens(9));
  examples.add(tokens(1), tokens(2));
  examples.add(tokens(1), tokens(2));
  PairStream stream(examples, {.max_tokens = 1000, .shuffle = false});
  EXPECT_THAT(stream.next().sentence, ElementsAre(2, 3, 1, 0));
}

TEST(PairStream, APairAboveTheBudgetIsAlone) {
  MemoryExamples examples;
  examples.add(tokens(1), tokens(1));
  examples.add(tokens(50), tokens(1));
  examples.add(tokens(60), tokens(1));
  PairStream stream(examples, {.max_tokens = 10, .shuffle = false});
  ASSERT_EQ(stream.batches(), 3);
  EXPECT_THAT(stream.next().sentence, ElementsAre(0));
  EXPECT_THAT(stream.next().sentence, ElementsAre(1));
}

TEST(PairStream, EveryBatchIsValidAndEveryPairIsDrawnOnceAnEpoch) {
  const MemoryExamples examples = random_examples(1000);
  for (const int64_t max_tokens : {40, 100, 333, 4096}) {
    PairStream stream(examples, {.max_tokens = max_tokens, .seed = 5});
    for (int epoch = 0; epoch < 2; ++epoch) {
      EXPECT_EQ(stream.position(), (StreamPosition{epoch, 0}));
      const std::vector<TokenBatch> batches = epoch_of(stream);
      for (const TokenBatch& batch : batches) {
        EXPECT_LE(std::max(batch.source_length, batch.target_length) * batch.sentences, max_tokens);
        EXPECT_TRUE(batch.sentences < 8 || batch.sentences % 8 == 0);
      }
      const std::map<int64_t, int> count = draws(batches);
      EXPECT_EQ(count.size(), 1000u);
      EXPECT_THAT(count, Each(testing::Pair(testing::_, 1)));
    }
  }
}

TEST(PairStream, EpochsHoldTheSameBatchesInAnotherOrder) {
  const MemoryExamples examples = random_examples(500);
  PairStream stream(examples, {.max_tokens = 200, .seed = 5});
  std::vector<std::vector<int64_t>> first, second;
  for (const TokenBatch& batch : epoch_of(stream)) first.push_back(batch.sentence);
  for (const TokenBatch& batch : epoch_of(stream)) second.push_back(batch.sentence);
  EXPECT_NE(first, second);
  EXPECT_THAT(second, testing::UnorderedElementsAreArray(first));
}

TEST(PairStream, AnotherSeedIsAnotherOrder) {
  const MemoryExamples examples = random_examples(500);
  PairStream one(examples, {.max_tokens = 200, .seed = 1}), other(examples, {.max_tokens = 200, .seed = 2});
  EXPECT_NE(epoch_of(one), epoch_of(other));
}

TEST(PairStream, ContinuesExactlyFromAnyPosition) {
  const MemoryExamples examples = random_examples(300);
  const std::vector<std::vector<double>> choices = {{}, {1, 2, 1}, {0.5, 1.25, 1}};
  for (const std::vector<double>& weights : choices) {
    const PairStreamOptions options = {.max_tokens = 300, .seed = 9, .corpus_weights = weights};
    PairStream whole(examples, options);
    for (int step = 0; step < 90; ++step) {
      PairStream resumed(examples, options);
      resumed.seek(whole.position());
      ASSERT_EQ(resumed.position(), whole.position());
      ASSERT_EQ(resumed.batches(), whole.batches());
      PairStream copy = whole;
      for (int i = 0; i < 5; ++i) ASSERT_EQ(resumed.next(), copy.next()) << "step " << step;
      whole.next();
    }
  }
}

TEST(PairStream, WeightsSayHowOftenAPairIsDrawn) {
  const MemoryExamples examples = random_examples(3000);  // 1000 of each corpus
  PairStream stream(examples, {.max_tokens = 500, .corpus_weights = {1, 3, 0.25}});
  std::map<int64_t, int> sum;
  for (int epoch = 0; epoch < 20; ++epoch) {
    const std::map<int64_t, int> count = draws(epoch_of(stream));
    for (const auto& [sentence, times] : count) {
      if (sentence % 3 < 2) {
        EXPECT_EQ(times, sentence % 3 == 0 ? 1 : 3);
      } else {
        EXPECT_EQ(times, 1);
        ++sum[sentence];
      }
    }
  }
  int64_t drawn = 0;
  for (const auto& [sentence, times] : sum) drawn += times;
  // Binomial of 20,000 draws with p = 1/4: 5,000 with a standard deviation of 61.
  EXPECT_NEAR(static_cast<double>(drawn), 5000, 250);
  EXPECT_GT(sum.size(), 900u);  // another quarter each epoch
}

TEST(PairStream, WholeWeightsKeepTheBatchesOfAllEpochs) {
  const MemoryExamples examples = random_examples(300);
  PairStream stream(examples, {.max_tokens = 300, .corpus_weights = {2, 0, 1}});
  const std::map<int64_t, int> first = draws(epoch_of(stream));
  EXPECT_EQ(first.size(), 200u);
  EXPECT_EQ(first.at(0), 2);
  EXPECT_EQ(draws(epoch_of(stream)), first);
}

// A sentence's class is no token of it; what is longer than the model reads is cut, and padding is on the
// right.
TEST(TokenBatch, OfSentencesToClassify) {
  MemoryExamples examples;
  examples.add({1}, {7, 8, 9, 10});
  examples.add({0}, {5});
  examples.add({2}, {});
  const TokenBatch batch = make_labelled_batch(examples, std::vector<int64_t>{2, 0, 1}, {.most = 5});
  EXPECT_EQ(batch.sentences, 3);
  EXPECT_EQ(batch.target_length, 5);
  EXPECT_THAT(batch.labels, ElementsAre(2, 1, 0));
  EXPECT_THAT(batch.sentence, ElementsAre(2, 0, 1));
  EXPECT_THAT(batch.target_input, ElementsAre(2, 2, 1, 1, 1, 2, 7, 8, 9, 2, 2, 5, 2, 1, 1));
  EXPECT_TRUE(batch.source.empty() && batch.target_output.empty());
  EXPECT_EQ(batch.target_tokens, 2 + 5 + 3);
  EXPECT_EQ(batch.predictions(), 3);
  EXPECT_EQ(make_batch(examples, std::vector<int64_t>{1}).predictions(), 2) << "of pairs their tokens";
  const TokenBatch masked =
      make_labelled_batch(examples, std::vector<int64_t>{2, 0, 1}, {.most = 5, .masked = true});
  EXPECT_THAT(masked.source, ElementsAre(0, 2, 1, 1, 1, 0, 7, 8, 9, 2, 0, 5, 2, 1, 1));
  EXPECT_EQ(masked.source_length, 5);
  EXPECT_TRUE(masked.target_input.empty() && masked.target_length == 0);
  EXPECT_EQ(masked.source_tokens, 10);
  EXPECT_EQ(masked.predictions(), 3);
}

// Lengths with marks 4, 4, 5, 5, 6, 6: two of 5 fit into 10, two of 6 do not.
TEST(PairStream, BatchesOfSentencesToClassifyFillTheBudgetWithTheirMarks) {
  MemoryExamples examples;
  for (const int64_t length : {2, 2, 3, 3, 4, 4}) examples.add({0}, tokens(length));
  PairStream stream(examples, {.max_tokens = 10, .classified = {.most = 100}, .shuffle = false});
  std::vector<int64_t> sizes;
  for (const TokenBatch& batch : epoch_of(stream)) sizes.push_back(batch.sentences);
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1, 1));
  PairStream cut(examples, {.max_tokens = 10, .classified = {.most = 5}, .shuffle = false});
  EXPECT_EQ(cut.batches(), 3) << "no sentence is longer than what is read of it";
}

TEST(PairStream, KeepsToTheMostSentencesOfABatch) {
  const MemoryExamples examples = random_examples(500);
  for (const int64_t most : {1, 5, 8, 12, 20}) {
    PairStream stream(examples, {.max_tokens = 100000, .max_sentences = most, .seed = 5});
    EXPECT_EQ(stream.batches(), (500 + most - 1) / most);
    const std::map<int64_t, int> count = draws(epoch_of(stream));
    EXPECT_EQ(count.size(), 500u);
    EXPECT_THAT(count, Each(testing::Pair(testing::_, 1)));
  }
  PairStream both(examples, {.max_tokens = 333, .max_sentences = 12, .seed = 5});
  for (const TokenBatch& batch : epoch_of(both)) {
    EXPECT_LE(std::max(batch.source_length, batch.target_length) * batch.sentences, 333);
    EXPECT_TRUE(batch.sentences <= 8 || batch.sentences == 12);
  }
}

TEST(PairStream, RefusesWhatCannotBe) {
  const MemoryExamples examples = random_examples(30);
  EXPECT_THROW(PairStream(MemoryExamples(), {}), Error);
  EXPECT_THROW(PairStream(examples, {.max_tokens = 0}), UsageError);
  EXPECT_THROW(PairStream(examples, {.corpus_weights = {1, 1}}), Error);
  EXPECT_THROW(PairStream(examples, {.corpus_weights = {1, -1, 1}}), UsageError);
  EXPECT_THROW(PairStream(examples, {.corpus_weights = {0, 0, 0}}), Error);
  PairStream stream(examples, {});
  EXPECT_THROW(stream.seek({0, stream.batches()}), Error);
  EXPECT_THROW(stream.seek({-1, 0}), Error);
}

}  // namespace
}  // namespace megin::data
