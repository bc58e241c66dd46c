#include "data/pair_stream.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace megin::data {
namespace {

// What a permutation is of; a part of its key.
enum Permuted : uint64_t { kExamples = 0, kBatches = 1 };

// Stable counting sort of example numbers by length(number).
template <typename Length>
void sort_by(std::vector<uint32_t>& order, Length length) {
  size_t longest = 0;
  for (const uint32_t item : order) longest = std::max(longest, length(item));
  std::vector<uint32_t> next(longest + 2);
  for (const uint32_t item : order) ++next[length(item) + 1];
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<uint32_t> sorted(order.size());
  for (const uint32_t item : order) sorted[next[length(item)]++] = item;
  order = std::move(sorted);
}

// How many of `count` waiting sentences a batch takes, which may have `most` (0: any number).
constexpr size_t whole_batch(size_t count, size_t most) {
  return count < 8 || count == most ? count : count / 8 * 8;
}

double weight_of(const PairStreamOptions& options, int32_t corpus) {
  if (options.corpus_weights.empty()) return 1.0;
  if (static_cast<size_t>(corpus) >= options.corpus_weights.size()) {
    fail("an example is of corpus {}, but only {} corpora have a weight; prepare the data again", corpus,
         options.corpus_weights.size());
  }
  return options.corpus_weights[static_cast<size_t>(corpus)];
}

// Every example as often as this epoch draws it.
std::vector<uint32_t> draw_examples(const ExampleSource& examples, const PairStreamOptions& options,
                                    int64_t epoch) {
  const uint64_t key = draw_key(options.seed, Purpose::kMix, {static_cast<uint64_t>(epoch)});
  std::vector<uint32_t> drawn;
  drawn.reserve(static_cast<size_t>(examples.size()));
  for (int64_t i = 0; i < examples.size(); ++i) {
    const double weight = weight_of(options, examples.example(i).corpus);
    const double whole = std::floor(weight);
    const bool once_more = draw_uniform(key, static_cast<uint64_t>(i)) < weight - whole;
    drawn.insert(drawn.end(), static_cast<size_t>(whole) + (once_more ? 1 : 0), static_cast<uint32_t>(i));
  }
  if (drawn.empty())
    fail("there is no pair to draw from: the set is empty, or its corpora's weights are too small");
  if (drawn.size() >= std::numeric_limits<uint32_t>::max()) {
    fail("an epoch of {} pairs is more than {}; lower the corpora's weights", drawn.size(),
         std::numeric_limits<uint32_t>::max() - 1);
  }
  return drawn;
}

}  // namespace

PairStream::PairStream(const ExampleSource& examples, const PairStreamOptions& options)
    : examples_(examples), options_(options) {
  if (options_.max_tokens < 1) fail_usage("a batch needs at least 1 token, found {}", options_.max_tokens);
  if (examples.size() >= std::numeric_limits<uint32_t>::max())
    fail("{} pairs are more than a stream can number", examples.size());
  for (const double weight : options_.corpus_weights) {
    if (!(weight >= 0) || !std::isfinite(weight))
      fail_usage("a corpus weight must be a number from 0 on, found {}", weight);
    redraw_ = redraw_ || weight != std::floor(weight);
  }
  plan(0);
  order_batches(0);
}

TokenBatch PairStream::next() {
  const uint32_t number = batches_[static_cast<size_t>(position_.batch)];
  const std::vector<int64_t> indices(order_.begin() + starts_[number], order_.begin() + starts_[number + 1]);
  TokenBatch batch = options_.classified.most > 0
                         ? make_labelled_batch(examples_, indices, options_.classified)
                         : make_batch(examples_, indices);
  if (++position_.batch == batches()) enter_epoch(position_.epoch + 1);
  return batch;
}

void PairStream::seek(StreamPosition position) {
  if (position.epoch >= 0 && position.epoch != position_.epoch) enter_epoch(position.epoch);
  require_position(position, batches());
  position_ = position;
}

void PairStream::enter_epoch(int64_t epoch) {
  if (redraw_) plan(epoch);
  order_batches(epoch);
  position_ = {epoch, 0};
}

void PairStream::order_batches(int64_t epoch) {
  batches_.resize(static_cast<size_t>(batches()));
  std::iota(batches_.begin(), batches_.end(), 0);
  if (options_.shuffle) {
    shuffle(batches_, draw_key(options_.seed, Purpose::kShuffle, {kBatches, static_cast<uint64_t>(epoch)}));
  }
}

void PairStream::plan(int64_t draw_epoch) {
  order_ = draw_examples(examples_, options_, draw_epoch);
  if (options_.shuffle) {
    shuffle(order_,
            draw_key(options_.seed, Purpose::kShuffle, {kExamples, static_cast<uint64_t>(draw_epoch)}));
  }
  sort_by(order_, [this](uint32_t i) { return examples_.example(i).target.size(); });
  sort_by(order_, [this](uint32_t i) { return examples_.example(i).source.size(); });
  cut();
}

int64_t PairStream::size_of(int64_t number) const {
  const Example example = examples_.example(number);
  if (options_.classified.most > 0) {
    return std::min(static_cast<int64_t>(example.target.size()) + kSentenceMarks, options_.classified.most);
  }
  return static_cast<int64_t>(std::max(example.source.size(), example.target.size())) + 1;
}

// Greedy: a batch is full when the next pair would not fit any more.
void PairStream::cut() {
  const auto most = static_cast<size_t>(options_.max_sentences);
  starts_ = {0};
  int64_t longest = 0;  // of the waiting pairs, which are those from the last start up to `at`
  const auto cut_one = [&](size_t at) {
    const size_t begin = starts_.back() + whole_batch(at - starts_.back(), most);
    starts_.push_back(static_cast<uint32_t>(begin));
    longest = 0;
    for (size_t i = begin; i < at; ++i) longest = std::max(longest, size_of(order_[i]));
  };
  const auto is_full = [&](size_t at, int64_t size) {
    const size_t waiting = at - starts_.back();
    return (most > 0 && waiting == most) ||
           std::max(longest, size) * static_cast<int64_t>(waiting + 1) > options_.max_tokens;
  };
  for (size_t at = 0; at < order_.size(); ++at) {
    const int64_t size = size_of(order_[at]);
    while (at > starts_.back() && is_full(at, size)) cut_one(at);
    longest = std::max(longest, size);
  }
  while (starts_.back() < order_.size()) cut_one(order_.size());
}

}  // namespace megin::data
