// The search for how many experts each layer needs.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace megin::cli {

// Experts of a token in each expert layer, and what that is worth and costs.
struct LayerNumbers {
  std::vector<int64_t> active;
  double loss = 0;
  double cost = 0;
};

struct LayerSearch {
  int64_t layers = 0;
  std::span<const int64_t> numbers;  // that a layer may have, ascending
  std::function<double(const std::vector<int64_t>&)> loss;
  std::function<double(const std::vector<int64_t>&)> cost;
  std::function<bool(const LayerNumbers&)> fits;  // whether that is cheap enough
};

// From the largest number in all layers downwards, each time one layer by one number: the one that costs the
// least loss for the cost it saves (the first of equal ones). Returns what it went through, the last of which
// fits, unless none does. Calls loss at most layers times for each of the (numbers - 1) * layers steps.
std::vector<LayerNumbers> lower_layer_by_layer(const LayerSearch& search);

}  // namespace megin::cli
