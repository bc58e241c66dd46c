// What a model with relative positions remembers, in checkpoints.
#pragma once

#include <vector>

#include "model/segment_memory.h"
#include "store/safetensors.h"

namespace megin::train {

// Views that hold as long as the memory stays as it is.
std::vector<store::TensorView> memory_views(const model::SegmentMemory& memory);

// The memory that was kept among the tensors of a checkpoint; empty when there is none.
model::SegmentMemory kept_memory(const store::SafetensorsFile& tensors);

}  // namespace megin::train
