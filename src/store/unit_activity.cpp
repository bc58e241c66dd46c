#include "store/unit_activity.h"

#include <bit>

#include "base/error.h"

namespace megin::store {
namespace {

constexpr int64_t kBits = 64;

}  // namespace

UnitActivity::UnitActivity(int64_t units) : units_(units), words_((units + kBits - 1) / kBits) {}

void UnitActivity::add(std::span<const float> values) {
  bits_.resize(bits_.size() + static_cast<size_t>(words_));
  uint64_t* const row = bits_.data() + tokens_ * words_;
  for (int64_t unit = 0; unit < units_; ++unit) {
    if (values[static_cast<size_t>(unit)] > 0) row[unit / kBits] |= uint64_t{1} << (unit % kBits);
  }
  ++tokens_;
}

std::vector<uint32_t> UnitActivity::coactivations() const {
  constexpr int64_t kMostUnits = 16'384;  // 1 GiB of pairs
  if (units_ > kMostUnits) {
    fail_usage("wanted feed-forwards of at most {} hidden units, whose pairs fit into a GiB, found {}",
               kMostUnits, units_);
  }
  // Unit by unit: then a pair is the bits that two rows have in common.
  const int64_t words = (tokens_ + kBits - 1) / kBits;
  std::vector<uint64_t> rows(static_cast<size_t>(units_ * words));
  for (int64_t token = 0; token < tokens_; ++token) {
    const uint64_t* const from = bits_.data() + token * words_;
    for (int64_t unit = 0; unit < units_; ++unit) {
      const uint64_t bit = from[unit / kBits] >> (unit % kBits) & 1;
      rows[static_cast<size_t>(unit * words + token / kBits)] |= bit << (token % kBits);
    }
  }
  std::vector<uint32_t> pairs(static_cast<size_t>(units_ * units_));
  for (int64_t a = 0; a < units_; ++a) {
    const uint64_t* const of_a = rows.data() + a * words;
    for (int64_t b = a + 1; b < units_; ++b) {
      const uint64_t* const of_b = rows.data() + b * words;
      int together = 0;
      for (int64_t w = 0; w < words; ++w) together += std::popcount(of_a[w] & of_b[w]);
      pairs[static_cast<size_t>(a * units_ + b)] = pairs[static_cast<size_t>(b * units_ + a)] =
          static_cast<uint32_t>(together);
    }
  }
  return pairs;
}

}  // namespace megin::store
