#include "train/plain_adam.h"

#include <ATen/ATen.h>

#include "optim/adam_factors.h"

namespace megin::train {
namespace {

at::Tensor view(std::span<float> memory, const optim::Segment& segment) {
  return at::from_blob(memory.data() + segment.offset, {static_cast<int64_t>(segment.size)}, at::kFloat);
}

void update_segment(const optim::AdamFactors& f, const optim::AdamMemory& memory,
                    const optim::Segment& segment) {
  const at::Tensor value = view(memory.values, segment), gradient = view(memory.gradients, segment),
                   first = view(memory.first_moments, segment), second = view(memory.second_moments, segment);
  at::Tensor scaled = gradient * f.gradient_scale;
  if (f.decay_in_gradient > 0) scaled.add_(value, f.decay_in_gradient);
  first.mul_(f.beta1).add_(scaled, f.one_minus_beta1);
  second.mul_(f.beta2).addcmul_(scaled, scaled, f.one_minus_beta2);
  value.mul_(1.0 - f.decay);
  if (f.adaptive) {
    value.addcdiv_(first, second.sqrt().add_(f.epsilon), -f.step);
  } else {
    value.add_(first, -f.step);
  }
  if (f.zero_gradients) gradient.zero_();
}

}  // namespace

void plain_adam_update(const config::OptimizerConfig& config, const optim::AdamMemory& memory,
                       std::span<optim::Segment> segments, const optim::AdamStep& step) {
  const at::NoGradGuard no_gradients;
  for (optim::Segment& segment : segments) {
    if (segment.active) update_segment(optim::adam_factors(config, step, segment.steps), memory, segment);
    if (!memory.average.empty()) {
      view(memory.average, segment).lerp_(view(memory.values, segment), 1.0 - step.average_decay);
    }
    segment.steps += segment.active ? 1 : 0;
  }
}

}  // namespace megin::train
