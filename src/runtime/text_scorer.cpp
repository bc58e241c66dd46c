#include "runtime/text_scorer.h"

#include <algorithm>

#include "base/error.h"
#include "text/vocabulary.h"

namespace megin::runtime {
namespace {

// Scored together: blocks of so many tokens, but no fewer and no more blocks than that.
constexpr size_t kTokensAtOnce = 1 << 19, kFewestBlocks = 32, kMostBlocks = 256;
constexpr int64_t kRowsAtOnce = 16;  // of a batch at least

}  // namespace

int64_t block_of(const config::ModelConfig& config) {
  return config::has_memory(config) ? config::kEvaluationPart : config.max_length;
}

TextScorer::TextScorer(const search::NextTokenModel& model, int64_t block_tokens,
                       const BatchedSearch& options, ThreadPool& pool)
    : model_(model),
      block_(static_cast<size_t>(block_tokens)),
      options_(options),
      pool_(pool),
      before_(text::kEndId) {
  options_.batch_tokens = std::max(options_.batch_tokens, kRowsAtOnce * block_tokens);
  if (block_tokens < 1 || block_tokens > model.max_length()) {
    fail_usage("blocks of text: wanted 1 to {} tokens, found {}", model.max_length(), block_tokens);
  }
}

void TextScorer::add(std::span<const int32_t> line) {
  waiting_.insert(waiting_.end(), line.begin(), line.end());
  constexpr int32_t kEnd[] = {text::kEndId};
  add_piece(kEnd);
}

void TextScorer::add_piece(std::span<const int32_t> piece) {
  waiting_.insert(waiting_.end(), piece.begin(), piece.end());
  if (waiting_.size() >= std::clamp(kTokensAtOnce / block_, kFewestBlocks, kMostBlocks) * block_)
    score(false);
}

TextScore TextScorer::finish() {
  score(true);
  return score_;
}

// All whole blocks that wait; with `last`, the rest too.
void TextScorer::score(bool last) {
  std::vector<search::Source> sources;
  std::vector<search::Tokens> targets;
  auto begin = waiting_.begin();
  while (begin != waiting_.end() && (last || static_cast<size_t>(waiting_.end() - begin) >= block_)) {
    const auto end =
        begin + std::min<std::ptrdiff_t>(waiting_.end() - begin, static_cast<std::ptrdiff_t>(block_));
    sources.push_back({.tokens = {}, .sentence = blocks_++, .begin = before_});
    targets.emplace_back(begin, end);
    before_ = *(end - 1);
    begin = end;
  }
  for (const search::Hypothesis& scored : score_all(model_, sources, targets, options_, pool_)) {
    score_.log_probability += scored.log_probability;
    score_.tokens += scored.tokens.size();
  }
  waiting_.erase(waiting_.begin(), begin);
}

}  // namespace megin::runtime
