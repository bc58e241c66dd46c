#include "runtime/random_weights.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "base/random.h"
#include "config/dispatch.h"
#include "store/tensor_names.h"

namespace megin::runtime {

TensorSource random_weights(const config::ModelConfig& config, uint64_t seed) {
  using Tensors = std::unordered_map<std::string, std::vector<float>>;
  auto tensors = std::make_shared<Tensors>();
  uint64_t number = 0;
  for (const store::TensorShape& tensor : store::tensor_shapes(config)) {
    const int64_t size =
        std::accumulate(tensor.shape.begin(), tensor.shape.end(), int64_t{1}, std::multiplies<>());
    const uint64_t key = draw_key(seed, Purpose::kInitialisation, {number++});
    const double middle = tensor.name.ends_with("norm.weight") ? 1.0 : 0.0;
    const double reach = std::sqrt(3.0 / static_cast<double>(config.width));  // of a uniform of that variance
    std::vector<float>& values = (*tensors)[tensor.name];
    values.resize(static_cast<size_t>(size));
    if (tensor.name.ends_with("router.table") && tensor.shape.size() == 2) {  // by position
      std::vector<int64_t> experts(static_cast<size_t>(tensor.shape[1]));
      for (size_t at = 0; at < values.size(); at += experts.size()) {
        config::draw_experts(key, at / experts.size(), config.experts, {.experts = experts, .gates = {}});
        std::ranges::transform(experts, values.begin() + static_cast<std::ptrdiff_t>(at),
                               [](int64_t expert) { return static_cast<float>(expert); });
      }
      continue;
    }
    if (tensor.name.ends_with("router.table")) {
      for (int64_t i = 0; i < size; ++i) {
        values[static_cast<size_t>(i)] = static_cast<float>(
            draw_index(key, static_cast<uint64_t>(i), static_cast<uint64_t>(config.experts.count)));
      }
      continue;
    }
    for (int64_t i = 0; i < size; ++i) {
      const double uniform = 2.0 * draw_uniform(key, static_cast<uint64_t>(i)) - 1.0;
      values[static_cast<size_t>(i)] = static_cast<float>(middle + (middle > 0 ? 0.1 : reach) * uniform);
    }
  }
  return [tensors](const std::string& name) { return std::span<const float>(tensors->at(name)); };
}

}  // namespace megin::runtime
