// The k largest values of a row of log-probabilities, without sorting the row.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::search {

struct Candidate {
  float log_prob = 0;
  int32_t token = 0;
};

// Keeps its buffers between calls; for one thread at a time.
class TopCandidates {
 public:
  // The `k` largest of log_probs [vocabulary], largest first, equal ones by lower token; fewer when fewer are
  // above -infinity (NaN is never above). The result is valid until the next call.
  std::span<const Candidate> find(std::span<const float> log_probs, size_t k);

 private:
  std::vector<float> block_maxima_;
  std::vector<float> sorted_maxima_;
  std::vector<Candidate> found_;
};

}  // namespace megin::search
