#include "routing/capacity.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <vector>

#include "base/random.h"
#include "routing/route.h"

namespace megin::routing {

int64_t capacity_of(double factor, int64_t routed, int64_t active, int64_t experts) {
  const double share = static_cast<double>(routed * active) / static_cast<double>(experts);
  return std::max<int64_t>(1, static_cast<int64_t>(std::ceil(factor * share)));
}

int64_t drop_beyond(const at::Tensor& experts, int64_t capacity, std::optional<uint64_t> key) {
  const int64_t rows = experts.size(0), k = experts.size(1);
  int64_t* const expert = experts.data_ptr<int64_t>();
  std::map<int64_t, std::vector<int64_t>> slots;  // of each expert, in order of precedence
  for (int64_t choice = 0; choice < k; ++choice) {
    for (int64_t row = 0; row < rows; ++row) {
      const int64_t slot = row * k + choice;
      if (expert[slot] != Route::kNoExpert) slots[expert[slot]].push_back(slot);
    }
  }
  int64_t dropped = 0;
  for (auto& [_, of_expert] : slots) {
    const int64_t excess = static_cast<int64_t>(of_expert.size()) - capacity;
    if (excess <= 0) continue;
    if (key) {
      std::ranges::stable_sort(of_expert, {},
                               [&](int64_t slot) { return draw_bits(*key, static_cast<uint64_t>(slot)); });
    }
    for (size_t i = static_cast<size_t>(capacity); i < of_expert.size(); ++i) {
      expert[of_expert[i]] = Route::kNoExpert;
    }
    dropped += excess;
  }
  return dropped;
}

}  // namespace megin::routing
