// Scales of the output of expert layers by the number k of experts a token meets. The output is a weighted
// mean of k answers, whose size falls as k grows, so that with another k than in training the layers behind
// get inputs of a size that they do not know (smoe_dropout spec 1.2 and 7.6). With scales the output at k has
// the root mean square that it has at the model's own k, for the same inputs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace megin::runtime {

// What is measured for them: sums over tokens of the squares of an expert layer's output with 1 ... N experts
// a token, all for the inputs that the layer has while the model runs as it was trained. Not for several
// threads at once.
class OutputSquares {
 public:
  OutputSquares(int64_t expert_layers, int64_t experts)
      : sums_(static_cast<size_t>(expert_layers), std::vector<double>(static_cast<size_t>(experts))) {}

  void add(uint64_t expert_layer, int64_t active, double squares) {
    sums_.at(static_cast<size_t>(expert_layer)).at(static_cast<size_t>(active - 1)) += squares;
  }

  // [N] of an expert layer, fp32: sqrt(squares at `reference` / squares at k) for k = 1 ... N; exactly 1 at
  // the reference. Throws Error where outputs are all zero, or nothing was measured.
  std::vector<float> scales(int64_t expert_layer, int64_t reference) const;

 private:
  std::vector<std::vector<double>> sums_;
};

}  // namespace megin::runtime
