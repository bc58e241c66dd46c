// Balanced assignment of tokens to experts, the routing of BASE layers in training (Lewis et al. 2021, arXiv
// 2103.16716, section 3.2): each expert gets the same number of tokens, and the sum of the scores is as large
// as an auction makes it (Bertsekas 1992; the increments and the retaining of won tokens as in fairseq's
// balanced_assignment.cpp).
//
// Every expert has ceil(tokens / experts) places. In each round an expert with f free places bids for the f
// tokens that are worth most to it, score - price, among those that it does not hold: what makes it
// indifferent to the next best, and the increment eps = max((max score - min score) / 50, 1e-4) on top. The
// highest bid takes the token and becomes its price. A holder counters with eps over the price, so that held
// tokens become dearer round by round and the unsold ones attractive. The auction ends when no place is free.
//
// Uneven counts: experts * ceil(tokens / experts) - tokens blanks are sold too, at most one to an expert. A
// blank is worth the same to all (the largest score), which favours no assignment; who holds one has one
// token less. Loads are thus the floor or the ceiling, and the auction decides whose is which.
//
// Quality. A token is worth to its winner, eps aside, at least what it could have had instead; later the
// prices of others only rise, and that of a held token by eps a round. So in the end no holder could gain
// more than rounds * eps on a place, and the sum of the scores is within rounds * eps * (tokens + blanks) of
// the optimum (increments that grow after fast_after are summed). The eps per token of a textbook auction,
// where a holder does not counter, is not guaranteed; that one needs some 200 times the rounds. Lost per
// token in fact, 32 experts and 8192 tokens: 0.005 eps for Gaussian scores in 10 to 17 rounds, 1.9 eps in 43
// when all tokens rank the experts alike.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace megin::routing {

struct AuctionOptions {
  // Rounds, at least one, then the rest is assigned greedily. A guard: soon after fast_after every round
  // sells a token for good.
  int64_t max_rounds = 10000;
  // Rounds after which the increment doubles each round until it exceeds the range of the scores: less exact,
  // and certain to end, as nobody outbids anybody then. Only 100 experts and more that all want the same
  // tokens have come this far. (fairseq lets go of what is won instead, which need not end.)
  int64_t fast_after = 100;
  // Runs task(0) ... task(count - 1), in any order and on any threads; empty: one after the other. The bids
  // of a round do not depend on each other, so the result is the same.
  std::function<void(int64_t count, const std::function<void(int64_t)>& task)> for_tasks = {};
};

struct AuctionResult {
  std::vector<int64_t> experts;  // [tokens] the expert of each token
  int64_t rounds = 0;            // held; 0 with one expert or no tokens, where there is nothing to decide
  bool finished = true;          // false: max_rounds was met and the rest was assigned greedily, balanced too
};

// scores: [tokens, experts] row-major, fp32; those that are not finite count as the smallest finite one, and
// as equal when none is finite. Loads differ by one at most, by none when experts divides tokens. Pure; ties
// go to the lowest index. Throws UsageError when scores has another size, tokens is negative or experts is
// not positive.
AuctionResult balanced_assignment(std::span<const float> scores, int64_t tokens, int64_t experts,
                                  const AuctionOptions& options = {});

// What an assignment is worth: the sum of scores[token, experts_of_token[token]], scores as given.
double assignment_score(std::span<const float> scores, std::span<const int64_t> experts_of_token,
                        int64_t experts);

}  // namespace megin::routing
