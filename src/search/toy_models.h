// Models for tests: any distribution over a few tokens, given as a function of what came before.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/random.h"
#include "search/beam_search.h"
#include "search/next_token_model.h"

namespace megin::search {

// The vocabulary of the toy models: 0 is an ordinary token, 1 to 3 are what SearchOptions says by default.
inline constexpr int32_t kPad = 1;
inline constexpr int32_t kEnd = 2;
inline constexpr int32_t kUnknown = 3;
inline constexpr int32_t kA = 4;
inline constexpr int32_t kB = 5;

// Probabilities [vocabulary] of the next token after `history` (without the begin mark).
using Distribution = std::function<std::vector<double>(const Source& source, const Tokens& history)>;

// Keeps the contract of NextTokenModel strictly and checks that its caller does.
class ToyModel : public NextTokenModel {
 public:
  ToyModel(int64_t vocabulary, int64_t max_length, Distribution distribution)
      : vocabulary_(vocabulary), max_length_(max_length), distribution_(std::move(distribution)) {}

  int64_t vocabulary() const override { return vocabulary_; }
  int64_t max_length() const override { return max_length_; }

  std::unique_ptr<DecodingState> begin(std::span<const Source> sources,
                                       int64_t rows_per_source) const override {
    auto state = std::make_unique<State>();
    for (const Source& source : sources) {
      for (int64_t row = 0; row < rows_per_source; ++row) state->rows.push_back({source, {}});
    }
    state->most_rows = state->rows.size();
    return state;
  }

  void step(DecodingState& state, std::span<const int32_t> tokens,
            std::span<float> log_probs) const override {
    auto& rows = static_cast<State&>(state).rows;
    ASSERT_EQ(tokens.size(), rows.size());
    ASSERT_EQ(log_probs.size(), rows.size() * static_cast<size_t>(vocabulary_));
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i].fed.push_back(tokens[i]);
      const Source& source = rows[i].source;
      ASSERT_EQ(rows[i].fed.front(), source.begin >= 0 ? source.begin : SearchOptions().begin);
      ASSERT_LE(static_cast<int64_t>(rows[i].fed.size()), max_length_);
      const Tokens history(rows[i].fed.begin() + 1, rows[i].fed.end());
      const std::vector<double> probabilities = distribution_(source, history);
      for (size_t token = 0; token < probabilities.size(); ++token) {
        log_probs[i * probabilities.size() + token] = static_cast<float>(std::log(probabilities[token]));
      }
    }
  }

  void reorder(DecodingState& state, std::span<const int64_t> order) const override {
    auto& toy = static_cast<State&>(state);
    ASSERT_LE(order.size(), toy.most_rows);
    std::vector<Row> rows;
    for (const int64_t row : order) rows.push_back(toy.rows.at(static_cast<size_t>(row)));
    toy.rows = std::move(rows);
  }

 private:
  struct Row {
    Source source;
    Tokens fed;
  };
  struct State : DecodingState {
    std::vector<Row> rows;
    size_t most_rows = 0;
  };

  int64_t vocabulary_;
  int64_t max_length_;
  Distribution distribution_;
};

// Pseudo-random probabilities that depend on the source and on the whole history, so that a row that got the
// wrong past shows.
inline Distribution hashed_distribution(uint64_t seed, int64_t vocabulary) {
  return [seed, vocabulary](const Source& source, const Tokens& history) {
    uint64_t key = mix64(seed);
    for (const int32_t token : source.tokens) key = mix64(key ^ static_cast<uint64_t>(token));
    for (const int32_t token : history) key = mix64(key ^ (static_cast<uint64_t>(token) << 32));
    std::vector<double> probabilities;
    double total = 0;
    for (int64_t token = 0; token < vocabulary; ++token) {
      probabilities.push_back(std::exp(2.0 * draw_normal(key, static_cast<uint64_t>(token))));
      total += probabilities.back();
    }
    for (double& probability : probabilities) probability /= total;
    return probabilities;
  };
}

// Sources of 1 to 4 tokens, all different.
inline std::vector<Source> toy_sources(size_t count) {
  std::vector<Source> sources;
  for (size_t i = 0; i < count; ++i) {
    Source source{.tokens = Tokens(1 + i % 4, static_cast<int32_t>(10 + i)), .sentence = i};
    sources.push_back(std::move(source));
  }
  return sources;
}

}  // namespace megin::search
