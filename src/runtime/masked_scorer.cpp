#include "runtime/masked_scorer.h"

#include <algorithm>
#include <functional>

#include "base/error.h"
#include "text/vocabulary.h"

namespace megin::runtime {
namespace {

constexpr size_t kRowsTogether = 256;  // wait for each other, to be shared out among threads
constexpr size_t kPlacesAtOnce = 64;   // whose probabilities are in memory

// A row of the text, masked.
struct MaskedRow {
  search::Source seen;
  std::vector<int32_t> targets;  // text::kPadId where nothing is asked
  TextScore score = {};
};

void score_batch(const MaskedModel& model, std::span<MaskedRow> rows) {
  std::vector<search::Source> sentences;
  for (MaskedRow& row : rows) sentences.push_back(std::move(row.seen));
  const TokenStates states = model.states(sentences);
  for (size_t r = 0; r < rows.size(); ++r) {
    std::vector<int64_t> places;
    std::vector<int32_t> asked;
    for (size_t i = 0; i < rows[r].targets.size(); ++i) {
      if (rows[r].targets[i] == text::kPadId) continue;
      places.push_back(states.offsets[r] + static_cast<int64_t>(i));
      asked.push_back(rows[r].targets[i]);
    }
    for (size_t first = 0; first < places.size(); first += kPlacesAtOnce) {
      const size_t count = std::min(kPlacesAtOnce, places.size() - first);
      const std::vector<float> found = model.log_probs(states, std::span(places).subspan(first, count));
      for (size_t i = 0; i < count; ++i) {
        const auto symbol = static_cast<size_t>(asked[first + i]);
        rows[r].score.log_probability += found[i * static_cast<size_t>(model.vocabulary()) + symbol];
      }
    }
    rows[r].score.tokens = places.size();
  }
}

}  // namespace

MaskedScorer::MaskedScorer(const MaskedModel& model, const text::Masking& masking,
                           const MaskedScorerOptions& options, ThreadPool& pool)
    : model_(model), masking_(masking), pool_(pool) {
  const int64_t row = options.row_tokens > 0 ? options.row_tokens : model.max_length();
  if (options.row_tokens < 0 || row < 2 || row > model.max_length()) {
    fail_usage("blocks of text: wanted 2 to {} tokens, found {}", model.max_length(), options.row_tokens);
  }
  block_ = static_cast<size_t>(row - 1);
  rows_at_once_ = static_cast<size_t>(std::max<int64_t>(1, options.batch_tokens / row));
}

void MaskedScorer::add(std::span<const int32_t> line) {
  waiting_.insert(waiting_.end(), line.begin(), line.end());
  waiting_.push_back(text::kEndId);
  if (waiting_.size() >= kRowsTogether * block_) score(false);
}

TextScore MaskedScorer::finish() {
  score(true);
  return score_;
}

// All whole rows that wait; with `last`, the rest too.
void MaskedScorer::score(bool last) {
  std::vector<MaskedRow> rows;
  auto begin = waiting_.begin();
  while (begin != waiting_.end() && (last || static_cast<size_t>(waiting_.end() - begin) >= block_)) {
    const auto end =
        begin + std::min<std::ptrdiff_t>(waiting_.end() - begin, static_cast<std::ptrdiff_t>(block_));
    MaskedRow row{.seen = {.tokens = {text::kBeginId}, .sentence = rows_}, .targets = {}};
    row.seen.tokens.insert(row.seen.tokens.end(), begin, end);
    row.targets.resize(row.seen.tokens.size());
    masking_.mask(0, rows_++, row.seen.tokens, row.targets);
    rows.push_back(std::move(row));
    begin = end;
  }
  waiting_.erase(waiting_.begin(), begin);
  // No more of a batch than give each thread its share.
  const auto threads = static_cast<size_t>(pool_.threads());
  const size_t batch = std::min(rows_at_once_, std::max<size_t>(1, (rows.size() + threads - 1) / threads));
  std::vector<std::function<void()>> tasks;
  for (size_t first = 0; first < rows.size(); first += batch) {
    const auto some = std::span(rows).subspan(first, std::min(batch, rows.size() - first));
    tasks.emplace_back([this, some] { score_batch(model_, some); });
  }
  pool_.run_tasks(tasks);
  for (const MaskedRow& row : rows) {
    score_.log_probability += row.score.log_probability;
    score_.tokens += row.score.tokens;
  }
}

}  // namespace megin::runtime
