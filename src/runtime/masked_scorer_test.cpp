#include "runtime/masked_scorer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "runtime/transformer_fixture.h"
#include "text/small_vocabulary.h"

namespace megin::runtime {
namespace {

ModelConfig masked_config() {
  ModelConfig config = small_config();
  config.kind = config::ModelKind::kMaskedLm;
  config.decoder_layers = 0;
  config.max_length = 9;
  config.norm_embeddings = config.output_transform = true;
  config.source_vocabulary = config.target_vocabulary = 263;
  config.experts = {.count = 3, .every = 1};
  return config;
}

std::vector<Tokens> some_lines() {
  std::mt19937 generator(5);
  std::vector<Tokens> lines(40);
  for (Tokens& line : lines) {
    line.resize(generator() % 12);
    for (int32_t& token : line) token = static_cast<int32_t>(text::kSpecialIds + generator() % 250);
  }
  return lines;
}

TextScore score(const MaskedModel& model, const text::Masking& masking, const MaskedScorerOptions& options,
                int threads) {
  ThreadPool pool(threads);
  MaskedScorer scorer(model, masking, options, pool);
  for (const Tokens& line : some_lines()) scorer.add(line);
  return scorer.finish();
}

TEST(MaskedScorer, AddsUpWhatPlainLoopsFind) {
  const ModelConfig config = masked_config();
  const auto weights = make_weights(config);
  const Dispatch dispatch = dispatch_by(DispatchMode::kSentence, 4);
  const MaskedModel model(weights, dispatch);
  const text::Masking masking({.rate = 0.3}, text::small_vocabulary(), text::kEvaluationMaskSeed);
  const ReferenceModel reference(config, weights->tensors, dispatch);
  Tokens text;
  for (const Tokens& line : some_lines()) {
    text.insert(text.end(), line.begin(), line.end());
    text.push_back(text::kEndId);
  }
  for (const int64_t row_tokens : {9, 6}) {
    double wanted = 0;
    uint64_t asked = 0, row = 0;
    for (size_t first = 0; first < text.size(); first += static_cast<size_t>(row_tokens - 1), ++row) {
      const size_t count = std::min(static_cast<size_t>(row_tokens - 1), text.size() - first);
      Tokens seen = {text::kBeginId};
      seen.insert(seen.end(), text.begin() + static_cast<std::ptrdiff_t>(first),
                  text.begin() + static_cast<std::ptrdiff_t>(first + count));
      Tokens targets(seen.size());
      masking.mask(0, row, seen, targets);
      const Matrix found = reference.log_probs_at(reference.states(seen, row));
      for (size_t i = 0; i < seen.size(); ++i) {
        if (targets[i] == text::kPadId) continue;
        wanted += found[i][static_cast<size_t>(targets[i])];
        ++asked;
      }
    }
    const TextScore found = score(model, masking, {.row_tokens = row_tokens == 9 ? 0 : row_tokens}, 2);
    EXPECT_EQ(found.tokens, asked);
    EXPECT_NEAR(found.log_probability, wanted, 1e-4 * static_cast<double>(asked));
  }
}

TEST(MaskedScorer, GivesTheSameBitsAtAnyBatchSizeAndThreadCount) {
  const auto weights = make_weights(masked_config());
  const MaskedModel model(weights, dispatch_by(DispatchMode::kToken, 4));
  const text::Masking masking({.whole_words = true}, text::small_vocabulary(), text::kEvaluationMaskSeed);
  const TextScore wanted = score(model, masking, {.batch_tokens = 1}, 1);
  EXPECT_GT(wanted.tokens, 20U);
  for (const int threads : {1, 3}) {
    for (const int64_t batch : {9, 50, 100000}) {
      const TextScore found = score(model, masking, {.batch_tokens = batch}, threads);
      EXPECT_EQ(found.log_probability, wanted.log_probability) << batch;
      EXPECT_EQ(found.tokens, wanted.tokens);
    }
  }
}

TEST(MaskedScorer, RefusesRowsThatTheModelCannotRead) {
  const auto weights = make_weights(masked_config());
  const MaskedModel model(weights, {});
  const text::Masking masking({}, text::small_vocabulary(), 1);
  ThreadPool pool(1);
  for (const int64_t row : {-1, 1, 10}) {
    EXPECT_THROW(MaskedScorer(model, masking, {.row_tokens = row}, pool), UsageError) << row;
  }
  MaskedScorer nothing(model, masking, {}, pool);
  EXPECT_EQ(nothing.finish().tokens, 0U);
}

}  // namespace
}  // namespace megin::runtime
