// The optimiser's update as a chain of libtorch's operations over all memory: the slow twin of optim::Adam.
#pragma once

#include <span>

#include "config/train_config.h"
#include "optim/adam.h"

namespace megin::train {

// As optim::Adam::update, to rounding.
void plain_adam_update(const config::OptimizerConfig& config, const optim::AdamMemory& memory,
                       std::span<optim::Segment> segments, const optim::AdamStep& step);

}  // namespace megin::train
