// How many tokens chose each expert: the votes by which Chen et al. 2023 (SMoE-Dropout, section 2) keep the
// experts that a task uses most.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::runtime {

// Not for several threads at once.
class ExpertVotes {
 public:
  ExpertVotes(int64_t expert_layers, int64_t experts)
      : counts_(static_cast<size_t>(expert_layers), std::vector<uint64_t>(static_cast<size_t>(experts))) {}

  // Choices of tokens in an expert layer (encoder layers first); -1: none.
  void add(uint64_t expert_layer, std::span<const int64_t> experts);

  const std::vector<std::vector<uint64_t>>& counts() const { return counts_; }  // [expert layers][experts]

 private:
  std::vector<std::vector<uint64_t>> counts_;
};

}  // namespace megin::runtime
