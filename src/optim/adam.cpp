#include "optim/adam.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "optim/adam_kernel.h"

namespace megin::optim {
namespace {

using config::OptimizerKind;

constexpr size_t kBlock = 1 << 14;  // elements: a fixed cut, whatever the number of threads

struct Block {
  size_t segment, begin, size;
};

// The step's factor for RAdam: nothing where the variance is not yet tractable.
double rectification(double beta2, double t, bool& tractable) {
  const double power = std::pow(beta2, t);
  const double last = 2.0 / (1.0 - beta2) - 1.0;
  const double now = last - 2.0 * t * power / (1.0 - power);
  tractable = now > 4.0;
  return tractable ? std::sqrt((now - 4) * (now - 2) * last / ((last - 4) * (last - 2) * now)) : 1.0;
}

void require_fit(const AdamMemory& memory, std::span<const Segment> segments) {
  const size_t size = memory.values.size();
  if (memory.gradients.size() != size || memory.first_moments.size() != size ||
      memory.second_moments.size() != size || (!memory.average.empty() && memory.average.size() != size)) {
    fail_usage("the optimiser's memory has {} values but {} gradients, {} and {} moments, {} averages", size,
               memory.gradients.size(), memory.first_moments.size(), memory.second_moments.size(),
               memory.average.size());
  }
  for (const Segment& segment : segments) {
    if (segment.offset > size || segment.size > size - segment.offset) {
      fail_usage("a segment of {} elements from {} on does not fit into {} values", segment.size,
                 segment.offset, size);
    }
  }
}

}  // namespace

AdamFactors adam_factors(const config::OptimizerConfig& config, const AdamStep& step, int64_t steps_before) {
  const auto t = static_cast<double>(steps_before + 1);
  const double correction1 = 1.0 - std::pow(config.beta1, t);
  const double correction2 = 1.0 - std::pow(config.beta2, t);
  const bool decay_in_gradient = config.kind == OptimizerKind::kAdam;
  bool adaptive = true;
  double rate = step.learning_rate;
  if (config.kind == OptimizerKind::kRAdam) rate *= rectification(config.beta2, t, adaptive);
  const auto rounded = [](double value) { return static_cast<float>(value); };
  return {
      .beta1 = rounded(config.beta1),
      .one_minus_beta1 = rounded(1.0 - config.beta1),
      .beta2 = rounded(config.beta2),
      .one_minus_beta2 = rounded(1.0 - config.beta2),
      .gradient_scale = rounded(step.gradient_scale),
      .decay_in_gradient = rounded(decay_in_gradient ? config.weight_decay : 0.0),
      .decay = rounded(decay_in_gradient ? 0.0 : step.learning_rate * config.weight_decay),
      .step = rounded(rate / correction1 * (adaptive ? std::sqrt(correction2) : 1.0)),
      .epsilon = rounded(config.epsilon),
      .adaptive = adaptive,
      .zero_gradients = step.zero_gradients,
      .average = false,
      .average_gain = rounded(1.0 - step.average_decay),
  };
}

void Adam::update(const AdamMemory& memory, std::span<Segment> segments, const AdamStep& step,
                  ThreadPool& pool) const {
  require_fit(memory, segments);
  const bool average = !memory.average.empty();
  std::vector<AdamFactors> factors(segments.size());
  std::vector<Block> blocks;
  for (size_t s = 0; s < segments.size(); ++s) {
    const Segment& segment = segments[s];
    if (!segment.active && !average) continue;
    factors[s] = adam_factors(config_, step, segment.steps);
    factors[s].average = average;
    for (size_t begin = 0; begin < segment.size; begin += kBlock) {
      blocks.push_back({s, segment.offset + begin, std::min(kBlock, segment.size - begin)});
    }
  }
  pool.parallel_for(0, static_cast<int64_t>(blocks.size()), 1, [&](int64_t from, int64_t to) {
    const FlushSubnormals flush;
    for (int64_t i = from; i < to; ++i) {
      const auto [segment, begin, size] = blocks[static_cast<size_t>(i)];
      const auto length = static_cast<int64_t>(size);
      float* const mean = average ? memory.average.data() + begin : nullptr;
      if (segments[segment].active) {
        adam_block(factors[segment],
                   {memory.values.data() + begin, memory.gradients.data() + begin,
                    memory.first_moments.data() + begin, memory.second_moments.data() + begin, mean},
                   length);
      } else {
        average_block(mean, memory.values.data() + begin, factors[segment].average_gain, length);
      }
    }
  });
  for (Segment& segment : segments) segment.steps += segment.active ? 1 : 0;
}

}  // namespace megin::optim
