#include "matrix/highest.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

namespace megin::matrix {
namespace {

constexpr size_t kFew = 8;

// By sorting: for more than a few.
void sort_out_highest(std::span<const float> values, std::span<int64_t> chosen) {
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto before = [&](int64_t a, int64_t b) {
    const float x = values[static_cast<size_t>(a)], y = values[static_cast<size_t>(b)];
    if (std::isnan(x) || std::isnan(y)) return std::isnan(x) == std::isnan(y) ? a < b : std::isnan(y);
    return x != y ? x > y : a < b;
  };
  std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(chosen.size()), before);
  std::copy_n(order.begin(), chosen.size(), chosen.begin());
}

}  // namespace

void choose_highest(std::span<const float> values, std::span<int64_t> chosen) {
  if (chosen.size() > kFew) return sort_out_highest(values, chosen);
  for (size_t choice = 0; choice < chosen.size(); ++choice) {
    const auto before = chosen.first(choice);
    int64_t best = -1;
    for (size_t i = 0; i < values.size(); ++i) {
      const auto index = static_cast<int64_t>(i);
      if (std::ranges::find(before, index) != before.end()) continue;
      const bool nothing_yet = best < 0;
      const float so_far = nothing_yet ? 0.0f : values[static_cast<size_t>(best)];
      const bool replaces_nan = so_far != so_far && values[i] == values[i];
      if (nothing_yet || values[i] > so_far || replaces_nan) best = index;
    }
    chosen[choice] = best;
  }
}

}  // namespace megin::matrix
