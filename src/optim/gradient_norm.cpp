#include "optim/gradient_norm.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <vector>

#include "optim/vector_targets.h"

namespace megin::optim {
namespace {

constexpr int64_t kBlock = 1 << 15;  // changing it changes results

// The lanes are independent sums, so that the compiler may keep them in vectors.
[[gnu::always_inline]] inline double sum_of_squares(const float* values, int64_t size) {
  constexpr int64_t kLanes = 16;
  std::array<double, kLanes> lanes{};
  int64_t i = 0;
  for (; i + kLanes <= size; i += kLanes) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const double value = values[i + lane];
      lanes[static_cast<size_t>(lane)] += value * value;
    }
  }
  for (; i < size; ++i) {
    const double value = values[i];
    lanes[static_cast<size_t>(i % kLanes)] += value * value;
  }
  return std::accumulate(lanes.begin(), lanes.end(), 0.0);
}

#if MEGIN_X86_TARGETS
[[gnu::target("avx2,fma")]] double sum_of_squares_avx2(const float* values, int64_t size) {
  return sum_of_squares(values, size);
}
#endif

double sum_of_squares_baseline(const float* values, int64_t size) {
  return sum_of_squares(values, size);
}

}  // namespace

GradientNorm gradient_norm(std::span<const float> gradient, ThreadPool& pool) {
  auto* sum = &sum_of_squares_baseline;
#if MEGIN_X86_TARGETS
  if (has_avx2()) sum = &sum_of_squares_avx2;
#endif
  const auto size = static_cast<int64_t>(gradient.size());
  std::vector<double> sums(static_cast<size_t>((size + kBlock - 1) / kBlock));
  pool.parallel_for(0, static_cast<int64_t>(sums.size()), 1, [&](int64_t from, int64_t to) {
    for (int64_t block = from; block < to; ++block) {
      const int64_t begin = block * kBlock;
      sums[static_cast<size_t>(block)] = sum(gradient.data() + begin, std::min(kBlock, size - begin));
    }
  });
  const double total = std::accumulate(sums.begin(), sums.end(), 0.0);
  return {.norm = std::sqrt(total), .finite = std::isfinite(total)};
}

double clip_factor(double norm, double limit) {
  return limit > 0 ? std::min(1.0, limit / (norm + 1e-6)) : 1.0;
}

}  // namespace megin::optim
