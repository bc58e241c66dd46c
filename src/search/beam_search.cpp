#include "search/beam_search.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "search/decoding.h"
#include "search/top_candidates.h"

namespace megin::search {
namespace {

constexpr int32_t kRoot = -1;

// A token of a hypothesis and the one before it; hypotheses share their beginnings.
struct Node {
  int32_t parent = kRoot;
  int32_t token = 0;
  float log_prob = 0;
};

// A hypothesis that continues.
struct Live {
  int32_t node = kRoot;
  double sum = 0;  // log-probability so far
};

// A hypothesis and one more token.
struct Continuation {
  double sum = 0;
  int32_t token = 0;
  int32_t live = 0;  // which hypothesis
  float log_prob = 0;
};

bool better(const Continuation& a, const Continuation& b) {
  if (a.sum != b.sum) return a.sum > b.sum;
  return a.token != b.token ? a.token < b.token : a.live < b.live;
}

// What every sentence of a call uses in turn.
struct Workspace {
  const SearchOptions& options;
  TopCandidates top;
  std::vector<Continuation> continuations;
  std::vector<Live> next;
};

// The search of one sentence.
class SentenceBeam {
 public:
  SentenceBeam(size_t index, uint64_t sentence, int64_t limit, std::span<const int32_t> prefix)
      : index_(index), sentence_(sentence), limit_(static_cast<size_t>(limit)), prefix_(prefix), live_(1) {}

  size_t index() const { return index_; }
  size_t rows() const { return live_.size(); }
  bool is_done() const { return done_; }

  // The token that goes into each of this sentence's rows.
  void append_inputs(std::vector<int32_t>& tokens, int32_t begin) const {
    for (const Live& live : live_) {
      tokens.push_back(live.node == kRoot ? begin : nodes_[static_cast<size_t>(live.node)].token);
    }
  }

  // Takes one step, given the decoder's rows from `first_row` on; appends the rows that go on to `kept`.
  void advance(RowDecoder& decoder, size_t first_row, Workspace& work, std::vector<int64_t>& kept) {
    gather(decoder, first_row, work);
    const auto beam = static_cast<size_t>(work.options.beam);
    const size_t count = std::min(2 * beam, work.continuations.size());
    std::ranges::partial_sort(work.continuations, work.continuations.begin() + static_cast<ptrdiff_t>(count),
                              better);
    work.next.clear();
    for (size_t rank = 0; rank < count; ++rank) {
      const Continuation& c = work.continuations[rank];
      if (c.token == work.options.end) {
        if (rank < beam && finished_.size() < beam) finish(c, work.options);
      } else if (work.next.size() < beam) {
        kept.push_back(static_cast<int64_t>(first_row) + c.live);
        nodes_.push_back({live_[static_cast<size_t>(c.live)].node, c.token, c.log_prob});
        work.next.push_back({static_cast<int32_t>(nodes_.size() - 1), c.sum});
      }
    }
    live_.swap(work.next);
    ++position_;
    done_ = finished_.size() >= beam || live_.empty();
    if (done_) kept.resize(kept.size() - live_.size());
  }

  // The n-best, best first.
  std::vector<Hypothesis> take(int64_t nbest) {
    std::ranges::stable_sort(finished_, std::greater<>(), &Hypothesis::score);
    finished_.resize(std::min(finished_.size(), static_cast<size_t>(nbest)));
    return std::move(finished_);
  }

 private:
  // The best continuations of each hypothesis, or the one that is forced.
  void gather(RowDecoder& decoder, size_t first_row, Workspace& work) {
    work.continuations.clear();
    const bool forced = position_ < prefix_.size() || position_ == limit_;
    const int32_t forced_token = position_ < prefix_.size() ? prefix_[position_] : work.options.end;
    for (size_t live = 0; live < live_.size(); ++live) {
      const std::span<float> log_probs = decoder.log_probs(first_row + live);
      const auto add = [&](int32_t token, float log_prob) {
        work.continuations.push_back(
            {live_[live].sum + log_prob, token, static_cast<int32_t>(live), log_prob});
      };
      if (forced) {
        const float log_prob = log_probs[static_cast<size_t>(forced_token)];
        if (!std::isnan(log_prob)) add(forced_token, log_prob);
      } else {
        forbid(log_probs, position_, work.options);
        const auto wanted = static_cast<size_t>(2 * work.options.beam);
        for (const Candidate& c : work.top.find(log_probs, wanted)) add(c.token, c.log_prob);
      }
    }
    if (work.continuations.empty()) fail_without_probabilities(sentence_, position_);
  }

  void finish(const Continuation& last, const SearchOptions& options) {
    Hypothesis hypothesis;
    hypothesis.tokens.push_back(last.token);
    hypothesis.token_log_probabilities.push_back(last.log_prob);
    for (int32_t at = live_[static_cast<size_t>(last.live)].node; at != kRoot;) {
      const Node& node = nodes_[static_cast<size_t>(at)];
      hypothesis.tokens.push_back(node.token);
      hypothesis.token_log_probabilities.push_back(node.log_prob);
      at = node.parent;
    }
    std::ranges::reverse(hypothesis.tokens);
    std::ranges::reverse(hypothesis.token_log_probabilities);
    hypothesis.log_probability = last.sum;
    hypothesis.score = length_penalised(last.sum, static_cast<int64_t>(hypothesis.tokens.size()), options);
    finished_.push_back(std::move(hypothesis));
  }

  size_t index_;
  uint64_t sentence_;
  size_t limit_;
  std::span<const int32_t> prefix_;
  size_t position_ = 0;
  bool done_ = false;
  std::vector<Live> live_;
  std::vector<Node> nodes_;
  std::vector<Hypothesis> finished_;
};

std::vector<SentenceBeam> begin_sentences(const NextTokenModel& model, std::span<const Source> sources,
                                          const SearchOptions& options, std::span<const Tokens> prefixes) {
  std::vector<SentenceBeam> sentences;
  for (size_t i = 0; i < sources.size(); ++i) {
    const int64_t limit = length_limit(model, static_cast<int64_t>(sources[i].tokens.size()), options);
    sentences.emplace_back(
        i, sources[i].sentence, limit,
        prefixes.empty() ? std::span<const int32_t>() : std::span<const int32_t>(prefixes[i]));
  }
  return sentences;
}

}  // namespace

std::vector<std::vector<Hypothesis>> beam_search(const NextTokenModel& model, std::span<const Source> sources,
                                                 const SearchOptions& options,
                                                 std::span<const Tokens> prefixes) {
  check(options, model);
  std::vector<std::vector<Hypothesis>> results(sources.size());
  if (options.beam == 1) {
    std::vector<Hypothesis> greedy = greedy_search(model, sources, options, prefixes);
    for (size_t i = 0; i < greedy.size(); ++i) results[i].push_back(std::move(greedy[i]));
    return results;
  }
  check_prefixes(model, sources, options, prefixes);
  if (sources.empty()) return results;

  std::vector<SentenceBeam> active = begin_sentences(model, sources, options, prefixes);
  RowDecoder decoder(model, sources, options.beam);
  std::vector<int64_t> rows;
  for (size_t i = 0; i < sources.size(); ++i) rows.push_back(static_cast<int64_t>(i) * options.beam);
  decoder.keep(rows);  // one hypothesis a sentence to begin with, the empty one

  Workspace work{.options = options, .top = {}, .continuations = {}, .next = {}};
  std::vector<int32_t> inputs;
  while (!active.empty()) {
    inputs.clear();
    for (const SentenceBeam& sentence : active) sentence.append_inputs(inputs, options.begin);
    decoder.step(inputs);
    rows.clear();
    size_t first_row = 0;
    for (SentenceBeam& sentence : active) {
      const size_t used = sentence.rows();
      sentence.advance(decoder, first_row, work, rows);
      first_row += used;
      if (sentence.is_done()) results[sentence.index()] = sentence.take(options.nbest);
    }
    std::erase_if(active, [](const SentenceBeam& sentence) { return sentence.is_done(); });
    decoder.keep(rows);
  }
  return results;
}

}  // namespace megin::search
