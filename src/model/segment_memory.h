// What a model with relative positions remembers from segment to segment (Dai et al. 2019, section 3.2).
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

namespace megin::model {

// Of each pass, what each layer was given for the tokens before: [rows, remembered, d], without gradients.
// Empty: nothing was read yet. For one thread at a time.
struct SegmentMemory {
  std::vector<std::vector<at::Tensor>> passes;
};

}  // namespace megin::model
