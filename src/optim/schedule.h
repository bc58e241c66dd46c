// The learning rate as a pure function of how many updates are done.
#pragma once

#include <cstdint>

#include "config/train_config.h"

namespace megin::optim {

// The learning rate of the update that follows `completed` updates: the first one has completed = 0. With w =
// warmup, all kinds rise in a straight line from warmup_start at 0 to learning_rate at w. Then, for n >= w,
//   inverse_sqrt  learning_rate * sqrt(w / n), as fairseq (w = 0 counts as 1)
//   cosine        a half cosine down to minimum_learning_rate at n = last, constant from there
//   linear        a straight line down to minimum_learning_rate at n = last, constant from there
//   constant      learning_rate
// `last` is the number of updates of the whole run; only cosine and linear read it.
double learning_rate(const config::OptimizerConfig& config, int64_t completed, int64_t last);

}  // namespace megin::optim
