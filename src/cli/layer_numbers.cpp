#include "cli/layer_numbers.h"

#include <limits>
#include <optional>

namespace megin::cli {
namespace {

// What comes after `at`; nothing where all layers have the least number.
std::optional<LayerNumbers> cheapest_step(const LayerSearch& search, const LayerNumbers& at) {
  std::optional<LayerNumbers> best;
  double least = std::numeric_limits<double>::infinity();
  for (size_t layer = 0; layer < at.active.size(); ++layer) {
    LayerNumbers lowered = at;
    int64_t lower = 0;
    for (const int64_t number : search.numbers) {
      if (number < at.active[layer]) lower = number;
    }
    if (lower == 0) continue;
    lowered.active[layer] = lower;
    lowered.loss = search.loss(lowered.active);
    lowered.cost = search.cost(lowered.active);
    const double price = (lowered.loss - at.loss) / (at.cost - lowered.cost);
    if (best && price >= least) continue;
    least = price;
    best = lowered;
  }
  return best;
}

}  // namespace

std::vector<LayerNumbers> lower_layer_by_layer(const LayerSearch& search) {
  const std::vector<int64_t> all(static_cast<size_t>(search.layers), search.numbers.back());
  std::vector<LayerNumbers> steps = {{.active = all, .loss = search.loss(all), .cost = search.cost(all)}};
  while (!search.fits(steps.back())) {
    const std::optional<LayerNumbers> next = cheapest_step(search, steps.back());
    if (!next) return steps;
    steps.push_back(*next);
  }
  return steps;
}

}  // namespace megin::cli
