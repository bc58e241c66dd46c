#include "routing/auction.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>

#include "base/error.h"

namespace megin::routing {
namespace {

constexpr int64_t kNobody = -1;
constexpr double kNever = -std::numeric_limits<double>::infinity();

// One of the blanks that stand for the places left over (see the header).
struct Blank {
  double price = 0;
  int64_t expert = kNobody;
};

// The state of one auction between at least two experts for at least one token. Prices are double and values
// count from the lowest score: else an increment would vanish beside scores that are large and lie close
// together.
class Auction {
 public:
  Auction(std::span<const float> scores, int64_t tokens, int64_t experts);

  double range() const { return highest_ - lowest_; }  // of the scores
  bool finished() const;                               // no place is free
  void hold_round(double increment, const AuctionOptions& options);
  void assign_rest();

  const std::vector<int64_t>& owners() const { return owners_; }

 private:
  std::span<const float> scores_of(int64_t expert) const;
  void counter_bids(double increment);
  // What an expert pays over a lot's price.
  struct Bid {
    int64_t lot;
    double raise;
  };
  std::vector<Bid> bids_of(int64_t expert, double increment) const;
  std::vector<double> values_of_lots(int64_t expert) const;
  double blank_price() const;  // of the cheapest
  void offer(int64_t lot, double raise, int64_t expert);
  void sell();
  void count_places();

  int64_t tokens_;
  int64_t experts_;
  size_t blanks_;
  double lowest_ = 0;
  double highest_ = 0;
  std::vector<float> scores_;     // [experts, tokens], finite
  std::vector<int64_t> owners_;   // [tokens]
  std::vector<double> prices_;    // [tokens]
  std::vector<Blank> held_;       // the blanks, dearest first; empty before the first round, which sells all
  std::vector<char> has_blank_;   // [experts]
  std::vector<int64_t> free_;     // [experts] free places
  std::vector<int64_t> bidders_;  // [tokens] of this round's best offer
  std::vector<double> offers_;    // [tokens]
  std::vector<Blank> blank_offers_;
};

Auction::Auction(std::span<const float> scores, int64_t tokens, int64_t experts)
    : tokens_(tokens),
      experts_(experts),
      blanks_(static_cast<size_t>((experts - tokens % experts) % experts)),
      scores_(scores.size()),
      owners_(tokens, kNobody),
      prices_(tokens, 0),
      has_blank_(experts, 0),
      free_(experts),
      bidders_(tokens),
      offers_(tokens) {
  float lowest = std::numeric_limits<float>::infinity();
  float highest = -lowest;
  for (const float score : scores) {
    if (!std::isfinite(score)) continue;
    lowest = std::min(lowest, score);
    highest = std::max(highest, score);
  }
  if (lowest > highest) lowest = highest = 0;
  lowest_ = lowest;
  highest_ = highest;
  for (int64_t token = 0; token < tokens; ++token) {
    for (int64_t expert = 0; expert < experts; ++expert) {
      const float score = scores[token * experts + expert];
      scores_[expert * tokens + token] = std::isfinite(score) ? score : lowest;
    }
  }
  count_places();
}

std::span<const float> Auction::scores_of(int64_t expert) const {
  return std::span(scores_).subspan(expert * tokens_, tokens_);
}

bool Auction::finished() const {
  return std::all_of(free_.begin(), free_.end(), [](int64_t places) { return places == 0; });
}

// Bids look at the prices of the round before only: made side by side, and taken in the order of the experts.
void Auction::hold_round(double increment, const AuctionOptions& options) {
  counter_bids(increment);
  std::vector<std::vector<Bid>> bids(static_cast<size_t>(experts_));
  const auto make_bids = [&](int64_t expert) {
    if (free_[expert] > 0) bids[static_cast<size_t>(expert)] = bids_of(expert, increment);
  };
  if (options.for_tasks) {
    options.for_tasks(experts_, make_bids);
  } else {
    for (int64_t expert = 0; expert < experts_; ++expert) make_bids(expert);
  }
  for (int64_t expert = 0; expert < experts_; ++expert) {
    for (const Bid& bid : bids[static_cast<size_t>(expert)]) offer(bid.lot, bid.raise, expert);
  }
  sell();
  count_places();
}

void Auction::counter_bids(double increment) {
  bidders_ = owners_;
  for (int64_t token = 0; token < tokens_; ++token) offers_[token] = prices_[token] + increment;
  blank_offers_.clear();
  for (const Blank& blank : held_) blank_offers_.push_back({blank.price + increment, blank.expert});
}

// There is always a next best lot: with two experts or more, an expert's places are fewer than the tokens, or
// there is a blank.
std::vector<Auction::Bid> Auction::bids_of(int64_t expert, double increment) const {
  const std::vector<double> values = values_of_lots(expert);
  std::vector<double> ranked = values;
  const auto next = ranked.begin() + free_[expert];
  std::nth_element(ranked.begin(), next, ranked.end(), std::greater<>());
  const double alternative = *next;
  int64_t ties =
      free_[expert] - std::count_if(ranked.begin(), next, [&](double value) { return value > alternative; });
  std::vector<Bid> bids;
  bids.reserve(static_cast<size_t>(free_[expert]));
  const auto bid_for = [&](int64_t lot) {
    const double gain = values[lot] - alternative;
    if (gain > 0 || (gain == 0 && ties-- > 0)) bids.push_back({lot, gain + increment});
  };
  // The blank is first among equals: as nothing is worth more when all is free, all experts bid for one in
  // the first round and all blanks are sold. Later, what is unsold are tokens, which any expert can use: a
  // blank would be of no use to who has one, and the auction might not end.
  bid_for(tokens_);
  for (int64_t token = 0; token < tokens_; ++token) bid_for(token);
  return bids;
}

// Of the tokens, and behind them a blank.
std::vector<double> Auction::values_of_lots(int64_t expert) const {
  std::vector<double> values(static_cast<size_t>(tokens_) + 1);
  const std::span<const float> scores = scores_of(expert);
  for (int64_t token = 0; token < tokens_; ++token) {
    values[token] = owners_[token] == expert ? kNever : (scores[token] - lowest_) - prices_[token];
  }
  const bool wants_blank = blanks_ > 0 && !has_blank_[expert];
  values[tokens_] = wants_blank ? range() - blank_price() : kNever;
  return values;
}

// raise: over the lot's price.
void Auction::offer(int64_t lot, double raise, int64_t expert) {
  if (lot == tokens_) {
    blank_offers_.push_back({blank_price() + raise, expert});
    return;
  }
  const double price = prices_[lot] + raise;
  const bool better =
      bidders_[lot] == kNobody || price > offers_[lot] || (price == offers_[lot] && expert < bidders_[lot]);
  if (!better) return;
  offers_[lot] = price;
  bidders_[lot] = expert;
}

void Auction::sell() {
  for (int64_t token = 0; token < tokens_; ++token) {
    if (bidders_[token] == kNobody) continue;
    owners_[token] = bidders_[token];
    prices_[token] = offers_[token];
  }
  std::sort(blank_offers_.begin(), blank_offers_.end(), [](const Blank& a, const Blank& b) {
    return a.price != b.price ? a.price > b.price : a.expert < b.expert;
  });
  blank_offers_.resize(std::min(blank_offers_.size(), blanks_));
  held_ = blank_offers_;
}

void Auction::count_places() {
  const int64_t places = (tokens_ + experts_ - 1) / experts_;
  std::fill(free_.begin(), free_.end(), places);
  std::fill(has_blank_.begin(), has_blank_.end(), 0);
  for (const int64_t expert : owners_) {
    if (expert != kNobody) --free_[expert];
  }
  for (const Blank& blank : held_) {
    --free_[blank.expert];
    has_blank_[blank.expert] = 1;
  }
}

double Auction::blank_price() const {
  return held_.empty() ? 0 : held_.back().price;
}

// After a round, so that the blanks are sold and the free places are as many as the unsold tokens.
void Auction::assign_rest() {
  for (int64_t token = 0; token < tokens_; ++token) {
    if (owners_[token] != kNobody) continue;
    int64_t best = kNobody;
    for (int64_t expert = 0; expert < experts_; ++expert) {
      if (free_[expert] == 0) continue;
      if (best == kNobody || scores_of(expert)[token] > scores_of(best)[token]) best = expert;
    }
    owners_[token] = best;
    --free_[best];
  }
}

void check_sizes(std::span<const float> scores, int64_t tokens, int64_t experts) {
  if (tokens >= 0 && experts > 0 && static_cast<int64_t>(scores.size()) == tokens * experts) return;
  fail_usage("wanted scores of at least 0 tokens for at least 1 expert; found {} scores for {} x {}",
             scores.size(), tokens, experts);
}

}  // namespace

AuctionResult balanced_assignment(std::span<const float> scores, int64_t tokens, int64_t experts,
                                  const AuctionOptions& options) {
  check_sizes(scores, tokens, experts);
  if (tokens == 0 || experts == 1) return {.experts = std::vector<int64_t>(tokens, 0)};
  Auction auction(scores, tokens, experts);
  double increment = std::max(auction.range() / 50, 1e-4);
  int64_t rounds = 0;
  do {
    auction.hold_round(increment, options);
    ++rounds;
    // Beyond the range a doubling would change nothing: what is sold is then dearer than what is not by more
    // than any two scores differ, so that every round sells.
    if (rounds >= options.fast_after && increment <= auction.range()) increment *= 2;
  } while (!auction.finished() && rounds < options.max_rounds);
  const bool finished = auction.finished();
  if (!finished) auction.assign_rest();
  return {.experts = auction.owners(), .rounds = rounds, .finished = finished};
}

double assignment_score(std::span<const float> scores, std::span<const int64_t> experts_of_token,
                        int64_t experts) {
  double sum = 0;
  for (size_t token = 0; token < experts_of_token.size(); ++token) {
    sum += scores[token * experts + experts_of_token[token]];
  }
  return sum;
}

}  // namespace megin::routing
