// Adam, AdamW and RAdam as one pass over flat fp32 memory.
//
// With g = scale * gradient, t = updates of the element's segment so far, this one included:
//   m = b1 m + (1 - b1) g          v = b2 v + (1 - b2) g^2
//   step = lr sqrt(1 - b2^t) / (1 - b1^t)
//   adamw   p -= lr wd p + step m / (sqrt(v) + eps)
//   adam    the same without lr wd p, and with g = scale * gradient + wd p
//   radam   as adamw with step times r_t where rho_t > 4; else p -= lr wd p + lr m / (1 - b1^t)
// As in fairseq (and in section 2 of the paper), eps is added before the correction of v. torch.optim adds it
// after: torch with eps / sqrt(1 - b2^t) in place of eps does the same steps.
// Papers: Kingma, Ba 2015; Loshchilov, Hutter 2019; Liu et al. 2020 (rho_t and r_t there; common code uses
// rho_t >= 5).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "config/train_config.h"

namespace megin::optim {

// Neighbouring elements that are updated together: the whole model, or an expert that may be left out.
struct Segment {
  size_t offset = 0;   // in elements
  size_t size = 0;     // in elements
  int64_t steps = 0;   // updates it has had: t - 1. Belongs into checkpoints with the moments
  bool active = true;  // false: values, moments and steps stay as they are in this update
};

// Flat memory of the caller, all spans of one length, none overlapping another. Segments index all of them.
struct AdamMemory {
  std::span<float> values;
  std::span<float> gradients;
  std::span<float> first_moments;   // 0 before the first update
  std::span<float> second_moments;  // the same
  std::span<float> average;         // moving average of the values; empty: none
};

// What changes from update to update.
struct AdamStep {
  double learning_rate = 0.0;
  double gradient_scale = 1.0;  // clip factor / target tokens
  double average_decay = 0.0;  // average = decay average + (1 - decay) values; inactive segments too, because
                               // an average lags behind values that stand still
  bool zero_gradients = false;  // leave the gradients of active segments at 0
};

// Const and without memory of its own: what changes is the caller's. Results are the same bytes at any
// thread count; processors with and without AVX2 round differently. Numbers below 1.2e-38 count as 0: moments
// that decay without a gradient would otherwise make the pass many times slower.
class Adam {
 public:
  explicit Adam(const config::OptimizerConfig& config) : config_(config) {}

  // One update. Segments must not overlap; elements in none are left alone. The `steps` of active ones are
  // counted up. The gradient must be finite (gradient_norm.h). UsageError if spans or segments do not fit.
  void update(const AdamMemory& memory, std::span<Segment> segments, const AdamStep& step,
              ThreadPool& pool) const;

 private:
  config::OptimizerConfig config_;
};

}  // namespace megin::optim
