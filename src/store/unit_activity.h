// Which hidden units of a feed-forward are active for which tokens, and how often two of them are active
// together.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::store {

// Memory: a bit for each unit and token. Not for several threads at once.
class UnitActivity {
 public:
  explicit UnitActivity(int64_t units);

  int64_t units() const { return units_; }
  int64_t tokens() const { return tokens_; }

  // The next token: a unit is active where its value is above 0. values: [units].
  void add(std::span<const float> values);

  // [units, units]: for how many tokens both units are active; 0 on the diagonal. Memory: 4 bytes a pair, so
  // 256 MiB for 8,192 units. Throws UsageError for more than 16,384 units.
  std::vector<uint32_t> coactivations() const;

 private:
  int64_t units_, words_, tokens_ = 0;
  std::vector<uint64_t> bits_;  // [tokens, words_]
};

}  // namespace megin::store
