// What a model with relative positions remembers, in checkpoints.
#pragma once

#include <string_view>
#include <vector>

#include "model/segment_memory.h"
#include "store/safetensors.h"

namespace megin::train {

// Views that hold as long as the memory stays as it is, under names that begin with `prefix`
// (store/checkpoint.h).
std::vector<store::TensorView> memory_views(const model::SegmentMemory& memory, std::string_view prefix);

// The memory that was kept so among the tensors of a checkpoint; empty when there is none.
model::SegmentMemory kept_memory(const store::SafetensorsFile& tensors, std::string_view prefix);

}  // namespace megin::train
