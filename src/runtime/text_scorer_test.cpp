#include "runtime/text_scorer.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"
#include "search/toy_models.h"

namespace megin::runtime {
namespace {

using search::Tokens;

constexpr int64_t kVocabulary = 30;

// Pseudo-random lines of up to six tokens, some empty.
std::vector<Tokens> some_lines(size_t count) {
  std::vector<Tokens> lines(count);
  for (size_t i = 0; i < count; ++i) {
    for (size_t t = 0; t < i * 5 % 7; ++t)
      lines[i].push_back(static_cast<int32_t>(4 + (i * 11 + t * 3) % 26));
  }
  return lines;
}

TextScore score(const std::vector<Tokens>& lines, int64_t block, int64_t batch_tokens, int threads) {
  const search::ToyModel model(kVocabulary, 16, search::hashed_distribution(3, kVocabulary));
  ThreadPool pool(threads);
  TextScorer scorer(model, block, {.search = {}, .sampling = {}, .batch_tokens = batch_tokens}, pool);
  for (const Tokens& line : lines) scorer.add(line);
  return scorer.finish();
}

// Token by token: the history begins anew with each block.
TEST(TextScorer, PredictsEveryTokenOnceFromItsBlock) {
  const auto distribution = search::hashed_distribution(3, kVocabulary);
  const auto lines = some_lines(40);
  Tokens text;
  for (const Tokens& line : lines) {
    text.insert(text.end(), line.begin(), line.end());
    text.push_back(search::kEnd);
  }
  for (const size_t block : {1u, 5u, 16u}) {
    double wanted = 0;
    for (size_t t = 0; t < text.size(); ++t) {
      const auto begin = static_cast<std::ptrdiff_t>(t / block * block);
      const Tokens history(text.begin() + begin, text.begin() + static_cast<std::ptrdiff_t>(t));
      wanted += std::log(distribution({}, history)[static_cast<size_t>(text[t])]);
    }
    const TextScore found = score(lines, static_cast<int64_t>(block), 4096, 1);
    EXPECT_EQ(found.tokens, text.size());
    EXPECT_NEAR(found.log_probability, wanted, 1e-4 * std::abs(wanted));
  }
}

// How a text of bytes is cut into pieces changes nothing, and nothing is put between them.
TEST(TextScorer, PiecesAreScoredAsOneSequence) {
  const auto distribution = search::hashed_distribution(3, kVocabulary);
  const search::ToyModel model(kVocabulary, 16, distribution);
  Tokens text;
  for (int32_t t = 0; t < 23; ++t) text.push_back(4 + t * 7 % 26);
  double wanted = 0;
  for (size_t t = 0; t < text.size(); ++t) {
    const auto begin = static_cast<std::ptrdiff_t>(t / 5 * 5);
    const Tokens history(text.begin() + begin, text.begin() + static_cast<std::ptrdiff_t>(t));
    wanted += std::log(distribution({}, history)[static_cast<size_t>(text[t])]);
  }
  for (const size_t size : {1u, 4u, 23u}) {
    ThreadPool pool(1);
    TextScorer scorer(model, 5, {.search = {}, .sampling = {}, .batch_tokens = 64}, pool);
    for (size_t at = 0; at < text.size(); at += size) {
      scorer.add_piece(std::span(text).subspan(at, std::min(size, text.size() - at)));
    }
    const TextScore found = scorer.finish();
    EXPECT_EQ(found.tokens, 23u);
    EXPECT_NEAR(found.log_probability, wanted, 1e-4 * std::abs(wanted));
  }
}

TEST(TextScorer, IsTheSameAtAnyThreadCountAndBatchSize) {
  const auto lines = some_lines(3000);  // more than are scored at once
  const TextScore once = score(lines, 8, 4096, 1);
  for (const int threads : {1, 3}) {
    for (const int64_t batch : {8, 100, 100000}) {
      EXPECT_EQ(score(lines, 8, batch, threads).log_probability, once.log_probability);
    }
  }
}

TEST(TextScorer, RefusesBlocksThatTheModelCannotRead) {
  EXPECT_THROW(score({}, 17, 4096, 1), UsageError);
  EXPECT_THROW(score({}, 0, 4096, 1), UsageError);
  EXPECT_EQ(score({}, 4, 4096, 1).tokens, 0u);
}

}  // namespace
}  // namespace megin::runtime
