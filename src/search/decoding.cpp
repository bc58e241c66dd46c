#include "search/decoding.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace megin::search {

void check_prefixes(const NextTokenModel& model, std::span<const Source> sources,
                    const SearchOptions& options, std::span<const Tokens> prefixes) {
  if (prefixes.empty()) return;
  if (prefixes.size() != sources.size()) {
    fail_usage("search: wanted a prefix for each of {} sources, found {}", sources.size(), prefixes.size());
  }
  for (size_t i = 0; i < prefixes.size(); ++i) {
    const int64_t limit = length_limit(model, static_cast<int64_t>(sources[i].tokens.size()), options);
    if (static_cast<int64_t>(prefixes[i].size()) > limit) {
      fail_usage("search: the prefix of sentence {} has {} tokens, more than the {} its output may have",
                 sources[i].sentence, prefixes[i].size(), limit);
    }
    for (const int32_t token : prefixes[i]) {
      if (token < 0 || token >= model.vocabulary() || token == options.end || token == options.pad) {
        fail_usage("search: the prefix of sentence {} holds the token {}, which no output can",
                   sources[i].sentence, token);
      }
    }
  }
}

RowDecoder::RowDecoder(const NextTokenModel& model, std::span<const Source> sources, int64_t rows_per_source)
    : model_(model),
      state_(model.begin(sources, rows_per_source)),
      rows_(sources.size() * static_cast<size_t>(rows_per_source)) {}

void RowDecoder::step(std::span<const int32_t> tokens) {
  log_probs_.resize(rows_ * static_cast<size_t>(model_.vocabulary()));
  model_.step(*state_, tokens, log_probs_);
}

std::span<float> RowDecoder::log_probs(size_t row) {
  const auto vocabulary = static_cast<size_t>(model_.vocabulary());
  return std::span(log_probs_).subspan(row * vocabulary, vocabulary);
}

void RowDecoder::keep(std::span<const int64_t> rows) {
  bool unchanged = rows.size() == rows_;
  for (size_t i = 0; unchanged && i < rows.size(); ++i) unchanged = rows[i] == static_cast<int64_t>(i);
  if (unchanged) return;
  rows_ = rows.size();
  if (rows_ > 0) model_.reorder(*state_, rows);
}

void forbid(std::span<float> log_probs, size_t position, const SearchOptions& options) {
  constexpr float kImpossible = -std::numeric_limits<float>::infinity();
  log_probs[static_cast<size_t>(options.pad)] = kImpossible;
  if (position == 0) log_probs[static_cast<size_t>(options.end)] = kImpossible;
  std::ranges::fill(log_probs.first(static_cast<size_t>(options.first_choice)), kImpossible);
  if (!options.allow_unknown) log_probs[static_cast<size_t>(options.unknown)] = kImpossible;
}

void fail_without_probabilities(uint64_t sentence, size_t position) {
  fail(
      "the model gives no token a probability for sentence {} at output token {}: its weights hold NaN or "
      "infinity, "
      "or every token is forbidden",
      sentence, position + 1);
}

}  // namespace megin::search
