#include "train/kept_memory.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace megin::train {
namespace {

std::string name_of(std::string_view prefix, size_t pass, size_t layer) {
  return fmt::format("{}{}.{}", prefix, pass, layer);
}

}  // namespace

std::vector<store::TensorView> memory_views(const model::SegmentMemory& memory, std::string_view prefix) {
  std::vector<store::TensorView> views;
  for (size_t pass = 0; pass < memory.passes.size(); ++pass) {
    for (size_t layer = 0; layer < memory.passes[pass].size(); ++layer) {
      const at::Tensor& states = memory.passes[pass][layer];
      if (!states.defined()) continue;
      views.push_back(store::float_tensor(name_of(prefix, pass, layer), states.sizes().vec(),
                                          {states.data_ptr<float>(), static_cast<size_t>(states.numel())}));
    }
  }
  return views;
}

model::SegmentMemory kept_memory(const store::SafetensorsFile& tensors, std::string_view prefix) {
  model::SegmentMemory memory;
  for (size_t pass = 0; tensors.find(name_of(prefix, pass, 0)) != nullptr; ++pass) {
    auto& layers = memory.passes.emplace_back();
    for (size_t layer = 0; const auto* tensor = tensors.find(name_of(prefix, pass, layer)); ++layer) {
      const at::Tensor states = at::empty(tensor->shape, at::kFloat);
      std::ranges::copy(store::float_values(*tensor), states.data_ptr<float>());
      layers.push_back(states);
    }
  }
  return memory;
}

}  // namespace megin::train
