// Two models of the same shape may be written down differently: keys that nothing reads of them, or that say
// how they were made.
#pragma once

#include "config/model_config.h"

namespace megin::config {

// The configuration with all that says nothing of what a trained model computes at its default: the preset,
// how values began, rates of dropout, where experts of a model would be that has none, and a head_width that
// is width / heads anyway. Of equal ones, models of equal tensors compute the same.
ModelConfig computed_part(ModelConfig config);

}  // namespace megin::config
