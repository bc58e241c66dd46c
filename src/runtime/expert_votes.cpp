#include "runtime/expert_votes.h"

namespace megin::runtime {

void ExpertVotes::add(uint64_t expert_layer, std::span<const int64_t> experts) {
  std::vector<uint64_t>& counts = counts_.at(static_cast<size_t>(expert_layer));
  for (const int64_t expert : experts) {
    if (expert >= 0) ++counts[static_cast<size_t>(expert)];
  }
}

}  // namespace megin::runtime
