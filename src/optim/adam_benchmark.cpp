// Nanoseconds per parameter of one AdamW update: fused against one plain loop per operation, as a chain of
// tensor operations does it. Prints one JSON object. Usage: megin_optim_benchmark [parameters] [threads]
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <limits>
#include <vector>

#include "base/clock.h"
#include "base/processors.h"
#include "optim/adam.h"
#include "optim/gradient_norm.h"

namespace {

using megin::optim::AdamMemory;

double best_seconds(const std::function<void()>& run) {
  double best = std::numeric_limits<double>::infinity();
  for (int round = 0; round < 9; ++round) {
    const double start = megin::system_clock().steady_seconds();
    run();
    best = std::min(best, megin::system_clock().steady_seconds() - start);
  }
  return best;
}

// The same update and the zeroing of the gradient, an operation at a time over all memory.
void separate_loops(const AdamMemory& a, std::vector<float>& scratch, double step_size) {
  const size_t n = a.values.size();
  const auto step = static_cast<float>(step_size);
  for (size_t i = 0; i < n; ++i) a.gradients[i] *= 0.5F;
  for (size_t i = 0; i < n; ++i) a.first_moments[i] *= 0.9F;
  for (size_t i = 0; i < n; ++i) a.first_moments[i] += 0.1F * a.gradients[i];
  for (size_t i = 0; i < n; ++i) a.second_moments[i] *= 0.98F;
  for (size_t i = 0; i < n; ++i) a.second_moments[i] += 0.02F * a.gradients[i] * a.gradients[i];
  for (size_t i = 0; i < n; ++i) scratch[i] = std::sqrt(a.second_moments[i]);
  for (size_t i = 0; i < n; ++i) scratch[i] += 1e-8F;
  for (size_t i = 0; i < n; ++i) a.values[i] -= 1e-7F * a.values[i];
  for (size_t i = 0; i < n; ++i) a.values[i] -= step * a.first_moments[i] / scratch[i];
  for (size_t i = 0; i < n; ++i) a.gradients[i] = 0.0F;
}

}  // namespace

int main(int argc, char** argv) {
  const auto size = static_cast<size_t>(argc > 1 ? std::atoll(argv[1]) : 10'000'000);
  const int threads = argc > 2 ? std::atoi(argv[2]) : megin::usable_processors();
  megin::ThreadPool pool(threads), one(1);
  std::vector<float> values(size, 0.1F), gradients(size, 0.01F), first(size, 1e-3F), second(size, 1e-5F);
  std::vector<float> average(size, 0.1F), scratch(size);
  AdamMemory memory{values, gradients, first, second, {}};
  AdamMemory averaged{values, gradients, first, second, average};
  std::vector<megin::optim::Segment> segments{{.offset = 0, .size = size, .steps = 100}};
  const megin::optim::Adam adam({.weight_decay = 1e-4});
  const megin::optim::AdamStep step{
      .learning_rate = 1e-3, .gradient_scale = 0.5, .average_decay = 0.999, .zero_gradients = true};

  const auto per_parameter = [size](double seconds) { return 1e9 * seconds / static_cast<double>(size); };
  const double fused = best_seconds([&] { adam.update(memory, segments, step, pool); });
  const double fused_one = best_seconds([&] { adam.update(memory, segments, step, one); });
  const double with_average = best_seconds([&] { adam.update(averaged, segments, step, pool); });
  const double norm = best_seconds([&] { megin::optim::gradient_norm(gradients, pool); });
  const double separate = best_seconds([&] { separate_loops(memory, scratch, 1e-3); });
  fmt::print(
      "{{\"benchmark\": \"adamw\", \"parameters\": {}, \"threads\": {}, \"ns_per_parameter\": {{\"fused\": "
      "{:.3f}, "
      "\"fused_one_thread\": {:.3f}, \"fused_with_average\": {:.3f}, \"separate_loops_one_thread\": {:.3f}, "
      "\"gradient_norm\": {:.3f}}}}}\n",
      size, threads, per_parameter(fused), per_parameter(fused_one), per_parameter(with_average),
      per_parameter(separate), per_parameter(norm));
  return 0;
}
