// The numbers by which one Adam update multiplies and adds, worked out once for a segment.
#pragma once

#include <cstdint>

#include "config/train_config.h"
#include "optim/adam.h"

namespace megin::optim {

// Rounded once, to fp32.
struct AdamFactors {
  float beta1, one_minus_beta1;
  float beta2, one_minus_beta2;
  float gradient_scale;
  float decay_in_gradient;  // adam's weight decay, else 0
  float decay;              // lr * wd, else 0
  float step;
  float epsilon;
  bool adaptive;  // divide by sqrt(v) + eps
  bool zero_gradients;
  bool average;        // keep the moving average
  float average_gain;  // 1 - its decay
};

// Of a segment that has had `steps_before` updates; without the average.
AdamFactors adam_factors(const config::OptimizerConfig& config, const AdamStep& step, int64_t steps_before);

}  // namespace megin::optim
