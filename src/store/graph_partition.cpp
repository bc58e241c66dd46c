#include "store/graph_partition.h"

#include <algorithm>

namespace megin::store {
namespace {

class Partition {
 public:
  Partition(std::span<const uint32_t> weights, int64_t nodes, int64_t parts)
      : weights_(weights),
        nodes_(nodes),
        parts_(parts),
        part_of_(static_cast<size_t>(nodes), kFree),
        to_part_(static_cast<size_t>(nodes * parts)) {}

  void grow() {
    std::vector<int64_t> to_free(static_cast<size_t>(nodes_));
    for (int64_t a = 0; a < nodes_; ++a) {
      for (int64_t b = 0; b < nodes_; ++b) to_free[static_cast<size_t>(a)] += weight(a, b);
    }
    for (int64_t part = 0; part < parts_; ++part) {
      for (int64_t taken = 0; taken < nodes_ / parts_; ++taken) {
        const int64_t node = taken == 0
                                 ? best_free([&](int64_t n) { return to_free[static_cast<size_t>(n)]; })
                                 : best_free([&](int64_t n) { return to(n, part); });
        part_of_[static_cast<size_t>(node)] = part;
        for (int64_t other = 0; other < nodes_; ++other) {
          to(other, part) += weight(other, node);
          to_free[static_cast<size_t>(other)] -= weight(other, node);
        }
      }
    }
  }

  // Whether any swap was taken. Each ends in less weight cut, so this comes to an end by itself; the bound is
  // for time.
  bool improve() {
    bool better = false;
    for (int64_t node = 0; node < nodes_; ++node) {
      int64_t best = 0, partner = kFree;
      for (int64_t other = 0; other < nodes_; ++other) {
        const int64_t gain = gain_of(node, other);
        if (gain > best) {
          best = gain;
          partner = other;
        }
      }
      if (partner == kFree) continue;
      swap(node, partner);
      better = true;
    }
    return better;
  }

  std::vector<std::vector<int64_t>> parts() const {
    std::vector<std::vector<int64_t>> all(static_cast<size_t>(parts_));
    for (int64_t node = 0; node < nodes_; ++node) all[static_cast<size_t>(part(node))].push_back(node);
    std::ranges::sort(all);
    return all;
  }

 private:
  static constexpr int64_t kFree = -1;

  int64_t weight(int64_t a, int64_t b) const { return weights_[static_cast<size_t>(a * nodes_ + b)]; }
  int64_t part(int64_t node) const { return part_of_[static_cast<size_t>(node)]; }
  int64_t& to(int64_t node, int64_t part) { return to_part_[static_cast<size_t>(node * parts_ + part)]; }

  template <typename Value>
  int64_t best_free(Value&& value) const {
    int64_t best = kFree;
    for (int64_t node = 0; node < nodes_; ++node) {
      if (part(node) == kFree && (best == kFree || value(node) > value(best))) best = node;
    }
    return best;
  }

  // How much less a swap cuts. The edge between the two stays cut, and both sums count it as gained.
  int64_t gain_of(int64_t a, int64_t b) {
    const int64_t p = part(a), q = part(b);
    if (p == q) return 0;
    return to(a, q) - to(a, p) + to(b, p) - to(b, q) - 2 * weight(a, b);
  }

  void swap(int64_t a, int64_t b) {
    const int64_t p = part(a), q = part(b);
    part_of_[static_cast<size_t>(a)] = q;
    part_of_[static_cast<size_t>(b)] = p;
    for (int64_t node = 0; node < nodes_; ++node) {
      const int64_t change = weight(node, b) - weight(node, a);
      to(node, p) += change;
      to(node, q) -= change;
    }
  }

  std::span<const uint32_t> weights_;
  int64_t nodes_, parts_;
  std::vector<int64_t> part_of_;
  std::vector<int64_t> to_part_;  // [nodes, parts]: the weight of a node's edges into each part
};

}  // namespace

std::vector<std::vector<int64_t>> balanced_partition(std::span<const uint32_t> weights, int64_t nodes,
                                                     int64_t parts) {
  constexpr int kRounds = 50;
  Partition partition(weights, nodes, parts);
  partition.grow();
  for (int round = 0; round < kRounds && partition.improve(); ++round) {
  }
  return partition.parts();
}

}  // namespace megin::store
