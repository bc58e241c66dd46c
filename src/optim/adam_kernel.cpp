#include "optim/adam_kernel.h"

#include <cmath>

#include "optim/vector_targets.h"

#if MEGIN_X86_TARGETS
#include <immintrin.h>
#endif

namespace megin::optim {
namespace {

// The three switches are template parameters: a branch in the loop would keep it from being vectorised.
template <bool kAdaptive, bool kZero, bool kAverage>
[[gnu::always_inline]] inline void update_block(const AdamFactors& factors, const AdamPointers& block,
                                                int64_t size) {
  const AdamFactors f = factors;
  float* __restrict values = block.values;
  float* __restrict gradients = block.gradients;
  float* __restrict first = block.first_moments;
  float* __restrict second = block.second_moments;
  float* __restrict average = block.average;
  for (int64_t i = 0; i < size; ++i) {
    const float p = values[i];
    const float g = f.gradient_scale * gradients[i] + f.decay_in_gradient * p;
    const float m = f.beta1 * first[i] + f.one_minus_beta1 * g;
    const float v = f.beta2 * second[i] + f.one_minus_beta2 * (g * g);
    const float direction = kAdaptive ? m / (std::sqrt(v) + f.epsilon) : m;
    // Summed before it is taken from p: p (1 - lr wd) would lose a decay below half a unit of the last place.
    const float updated = p - (f.decay * p + f.step * direction);
    first[i] = m;
    second[i] = v;
    values[i] = updated;
    if constexpr (kZero) gradients[i] = 0.0F;
    if constexpr (kAverage) average[i] += f.average_gain * (updated - average[i]);
  }
}

template <bool kAdaptive, bool kZero>
[[gnu::always_inline]] inline void choose_average(const AdamFactors& f, const AdamPointers& block,
                                                  int64_t size) {
  if (f.average) {
    update_block<kAdaptive, kZero, true>(f, block, size);
  } else {
    update_block<kAdaptive, kZero, false>(f, block, size);
  }
}

template <bool kAdaptive>
[[gnu::always_inline]] inline void choose_zero(const AdamFactors& f, const AdamPointers& block,
                                               int64_t size) {
  if (f.zero_gradients) {
    choose_average<kAdaptive, true>(f, block, size);
  } else {
    choose_average<kAdaptive, false>(f, block, size);
  }
}

[[gnu::always_inline]] inline void choose(const AdamFactors& f, const AdamPointers& block, int64_t size) {
  if (f.adaptive) {
    choose_zero<true>(f, block, size);
  } else {
    choose_zero<false>(f, block, size);
  }
}

[[gnu::always_inline]] inline void move_average(float* __restrict average, const float* __restrict values,
                                                float gain, int64_t size) {
  for (int64_t i = 0; i < size; ++i) average[i] += gain * (values[i] - average[i]);
}

#if MEGIN_X86_TARGETS
[[gnu::target("avx2,fma")]] void adam_block_avx2(const AdamFactors& f, const AdamPointers& block,
                                                 int64_t size) {
  choose(f, block, size);
}

[[gnu::target("avx2,fma")]] void average_block_avx2(float* average, const float* values, float gain,
                                                    int64_t size) {
  move_average(average, values, gain, size);
}
#endif

#if defined(__aarch64__)
constexpr uint64_t kFlushBit = 1ULL << 24;  // FZ of FPCR

uint64_t control_register() {
  uint64_t value;
  asm volatile("mrs %0, fpcr" : "=r"(value));
  return value;
}
void set_control_register(uint64_t value) {
  asm volatile("msr fpcr, %0" : : "r"(value));
}
#elif MEGIN_X86_TARGETS
constexpr uint64_t kFlushBit = 0x8040;  // FTZ and DAZ of MXCSR

uint64_t control_register() {
  return _mm_getcsr();
}
void set_control_register(uint64_t value) {
  _mm_setcsr(static_cast<unsigned>(value));
}
#else
constexpr uint64_t kFlushBit = 0;

uint64_t control_register() {
  return 0;
}
void set_control_register(uint64_t) {}
#endif

}  // namespace

void adam_block(const AdamFactors& factors, const AdamPointers& block, int64_t size) {
#if MEGIN_X86_TARGETS
  if (has_avx2()) return adam_block_avx2(factors, block, size);
#endif
  choose(factors, block, size);
}

void average_block(float* average, const float* values, float gain, int64_t size) {
#if MEGIN_X86_TARGETS
  if (has_avx2()) return average_block_avx2(average, values, gain, size);
#endif
  move_average(average, values, gain, size);
}

FlushSubnormals::FlushSubnormals() : former_(control_register()) {
  set_control_register(former_ | kFlushBit);
}

FlushSubnormals::~FlushSubnormals() {
  set_control_register(former_);
}

}  // namespace megin::optim
