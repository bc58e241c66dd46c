// Loss, perplexity and bits of a language model over a test set.
#pragma once

#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>

namespace megin::metric {

// The summed negative log-likelihood of a test set. Sums of parts may be added. A mean over nothing is NaN.
struct LogLoss {
  double nats = 0;      // sum of -ln p(token)
  uint64_t tokens = 0;  // how many tokens were predicted, the end of sentence among them

  LogLoss& operator+=(const LogLoss& other) {
    nats += other.nats;
    tokens += other.tokens;
    return *this;
  }

  double per_token() const { return per(tokens); }
  double perplexity() const { return std::exp(per_token()); }
  double bits_per_token() const { return bits_per(tokens); }
  // Perplexity per word, say: exp(nats / units). May be compared between vocabularies too.
  double perplexity_per(uint64_t units) const { return std::exp(per(units)); }
  // Bits per character or byte: `units` is how many the text has that the tokens stand for. Unlike the
  // perplexity it may be compared between vocabularies.
  double bits_per(uint64_t units) const { return per(units) / std::numbers::ln2; }

 private:
  double per(uint64_t units) const {
    return units == 0 ? std::numeric_limits<double>::quiet_NaN() : nats / static_cast<double>(units);
  }
};

}  // namespace megin::metric
