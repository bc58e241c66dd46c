#include "store/unit_shares.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <tuple>

#include "base/random.h"

namespace megin::store {
namespace {

// Rows of length 1, [units, width].
std::vector<double> directions(std::span<const float> weight, int64_t units) {
  const size_t width = weight.size() / static_cast<size_t>(units);
  std::vector<double> rows(weight.begin(), weight.end());
  for (auto row = rows.begin(); row != rows.end(); row += static_cast<std::ptrdiff_t>(width)) {
    const auto end = row + static_cast<std::ptrdiff_t>(width);
    const double length = std::sqrt(std::inner_product(row, end, row, 0.0));
    if (length > 0) std::for_each(row, end, [&](double& value) { value /= length; });
  }
  return rows;
}

// Balanced k-means by cosine: the closest pairs of unit and centre first, as long as the centre has room.
class Clusters {
 public:
  Clusters(std::span<const float> weight, int64_t units, int64_t experts)
      : units_(units), experts_(experts), width_(static_cast<int64_t>(weight.size()) / units) {
    rows_ = directions(weight, units);
  }

  Shares find(uint64_t key) {
    std::vector<int64_t> order(static_cast<size_t>(units_));
    std::iota(order.begin(), order.end(), int64_t{0});
    std::ranges::stable_sort(order, {},
                             [&](int64_t unit) { return draw_bits(key, static_cast<uint64_t>(unit)); });
    Shares shares = shares_in_order(order, experts_);  // where it begins
    for (int64_t round = 0; round < kRounds; ++round) {
      Shares next = assign(centres_of(shares));
      if (next == shares) break;
      shares = std::move(next);
    }
    return shares;
  }

 private:
  static constexpr int64_t kRounds = 50;

  double cosine(int64_t unit, const std::vector<double>& centre) const {
    const auto row = rows_.begin() + unit * width_;
    return std::inner_product(row, row + width_, centre.begin(), 0.0);
  }

  std::vector<std::vector<double>> centres_of(const Shares& shares) const {
    std::vector<std::vector<double>> centres;
    for (const std::vector<int64_t>& units : shares) {
      std::vector<double>& centre = centres.emplace_back(static_cast<size_t>(width_));
      for (const int64_t unit : units) {
        for (int64_t i = 0; i < width_; ++i) {
          centre[static_cast<size_t>(i)] += rows_[static_cast<size_t>(unit * width_ + i)];
        }
      }
      const double length = std::sqrt(std::inner_product(centre.begin(), centre.end(), centre.begin(), 0.0));
      if (length > 0) std::ranges::for_each(centre, [length](double& value) { value /= length; });
    }
    return centres;
  }

  Shares assign(const std::vector<std::vector<double>>& centres) const {
    std::vector<std::tuple<double, int64_t, int64_t>> pairs;  // distance, unit, expert
    for (int64_t unit = 0; unit < units_; ++unit) {
      for (int64_t e = 0; e < experts_; ++e) {
        pairs.emplace_back(-cosine(unit, centres[static_cast<size_t>(e)]), unit, e);
      }
    }
    std::ranges::sort(pairs);
    Shares shares(static_cast<size_t>(experts_));
    std::vector<bool> taken(static_cast<size_t>(units_));
    for (const auto& [distance, unit, expert] : pairs) {
      std::vector<int64_t>& own = shares[static_cast<size_t>(expert)];
      if (taken[static_cast<size_t>(unit)] || static_cast<int64_t>(own.size()) == units_ / experts_) continue;
      own.push_back(unit);
      taken[static_cast<size_t>(unit)] = true;
    }
    for (std::vector<int64_t>& own : shares) std::ranges::sort(own);
    return shares;
  }

  int64_t units_, experts_, width_;
  std::vector<double> rows_;
};

}  // namespace

Shares shares_in_order(const std::vector<int64_t>& units, int64_t experts) {
  const auto own = static_cast<std::ptrdiff_t>(units.size()) / experts;
  Shares shares;
  for (int64_t e = 0; e < experts; ++e) {
    shares.emplace_back(units.begin() + e * own, units.begin() + (e + 1) * own);
    std::ranges::sort(shares.back());
  }
  return shares;
}

Shares shares_by_direction(std::span<const float> weight, int64_t units, int64_t experts, uint64_t key) {
  return Clusters(weight, units, experts).find(key);
}

}  // namespace megin::store
