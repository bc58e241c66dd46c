#include "matrix/highest.h"

#include <algorithm>

namespace megin::matrix {

void choose_highest(std::span<const float> values, std::span<int64_t> chosen) {
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
