// What all searches share: options, length penalties and hypotheses.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

#include "search/next_token_model.h"

namespace megin::search {

// How a finished hypothesis of log-probability s and length L (tokens, end mark included) is scored:
//   fairseq  s / L^alpha                   alpha 1: the mean log-probability
//   gnmt     s / ((5 + L) / 6)^alpha       Wu et al. 2016, arXiv 1609.08144, eq. 14
//   none     s
enum class LengthPenalty { kFairseq, kGnmt, kNone };
constexpr auto enum_names(LengthPenalty) {
  return std::array<std::string_view, 3>{"fairseq", "gnmt", "none"};
}

struct SearchOptions {
  int64_t beam = 5;   // hypotheses kept for a sentence; 1: greedy
  int64_t nbest = 1;  // hypotheses returned for a sentence, at most `beam`
  LengthPenalty length_penalty = LengthPenalty::kFairseq;
  double alpha = 1.0;  // exponent of the length penalty; larger favours longer outputs, 0: no penalty

  // A sentence of S source tokens (end mark included) gets at most max_length_ratio * S + max_length_extra
  // tokens before its end mark, and never more than the model can; there the end mark is forced.
  double max_length_ratio = 0.0;
  int64_t max_length_extra = 200;

  bool allow_unknown = true;  // may the unknown symbol be produced
  int32_t first_choice = 0;   // ids below it are never chosen; the end mark among them is only forced

  // Ids of the vocabulary's special symbols.
  int32_t begin = 2;  // fed first (fairseq begins with the end mark)
  int32_t pad = 1;    // never produced
  int32_t end = 2;    // never produced as the first token
  int32_t unknown = 3;
};

// One output of a search.
struct Hypothesis {
  std::vector<int32_t> tokens;  // end mark included, begin mark not; a forced prefix included
  double score = 0;             // log_probability after the length penalty; what the n-best are sorted by
  double log_probability = 0;   // natural logarithm, sum of the next
  std::vector<float> token_log_probabilities;  // [tokens.size()]
};

// The score of a finished hypothesis; length counts the end mark.
double length_penalised(double log_probability, int64_t length, const SearchOptions& options);

// The most tokens before the end mark that a source of so many tokens may get, at least 1.
int64_t length_limit(const NextTokenModel& model, int64_t source_length, const SearchOptions& options);

// Throws UsageError naming the first option that cannot be (beam < 1, nbest > beam, ids outside the
// vocabulary ...).
void check(const SearchOptions& options, const NextTokenModel& model);

}  // namespace megin::search
