#include <algorithm>
#include <cmath>

#include "base/highway_targets.h"
#include "net/dropout.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "net/dropout_kernel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::net::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// One hash gives the 16-bit draws of two elements: of a group of 32, those that stand 16 apart, so that a
// vector of any instruction set holds neighbours.
constexpr int64_t kHalf = 16, kGroup = 2 * kHalf;

using Bits = hn::CappedTag<uint32_t, kHalf>;
using Values = hn::RebindToFloat<Bits>;

// A 32-bit finaliser with low bias (multipliers found by Chris Wellons' search), as vector code needs one
// without 64-bit multiplications.
template <typename D>
HWY_INLINE hn::Vec<D> mix(D d, hn::Vec<D> x) {
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<16>(x)), hn::Set(d, 0x7FEB352DU));
  x = hn::Mul(hn::Xor(x, hn::ShiftRight<15>(x)), hn::Set(d, 0x846CA68BU));
  return hn::Xor(x, hn::ShiftRight<16>(x));
}

// Hash `number` of a key, and of the numbers after it.
template <typename D>
HWY_INLINE hn::Vec<D> hashes(D d, uint64_t key, uint32_t number) {
  constexpr uint32_t kStep = 0x9E3779B1U;
  const auto low = static_cast<uint32_t>(key), high = static_cast<uint32_t>(key >> 32);
  const auto steps = hn::Mul(hn::Iota(d, 0), hn::Set(d, kStep));
  return hn::Xor(mix(d, hn::Add(steps, hn::Set(d, number * kStep + low))), hn::Set(d, high));
}

// Whether the element is kept, by its number.
HWY_INLINE bool keeps(const DropoutSpan& span, int64_t element) {
  const hn::CappedTag<uint32_t, 1> d;
  const auto number = static_cast<uint32_t>(element / kGroup * kHalf + element % kHalf);
  const uint32_t bits = hn::GetLane(hashes(d, span.key, number));
  return (element % kGroup < kHalf ? bits & 0xFFFFU : bits >> 16) >= span.threshold;
}

template <typename D, typename V>
HWY_INLINE void keep(D d, const float* in, float* out, V draws, V highest_dropped, hn::Vec<D> scale) {
  const auto kept = hn::RebindMask(d, hn::Gt(draws, highest_dropped));
  hn::StoreU(hn::IfThenElseZero(kept, hn::Mul(hn::LoadU(d, in), scale)), d, out);
}

void Span(const float* in, float* out, int64_t size, const DropoutSpan& span) {
  const Bits bits;
  const hn::RebindToSigned<Bits> draws;
  const Values values;
  constexpr int64_t kLanes = hn::MaxLanes(Bits());
  const auto highest_dropped = hn::Set(draws, static_cast<int32_t>(span.threshold) - 1);
  const auto scale = hn::Set(values, span.scale);
  const auto low_half = hn::Set(bits, 0xFFFFU);
  const auto one = [&](int64_t i) { out[i] = keeps(span, span.first + i) ? in[i] * span.scale : 0.0f; };

  int64_t i = 0;
  for (; i < size && (span.first + i) % kGroup != 0; ++i) one(i);
  for (; i + kGroup <= size; i += kGroup) {
    const auto number = static_cast<uint32_t>((span.first + i) / kGroup * kHalf);
    for (int64_t k = 0; k < kHalf; k += kLanes) {
      const auto pair = hashes(bits, span.key, number + static_cast<uint32_t>(k));
      const int64_t at = i + k;
      keep(values, in + at, out + at, hn::BitCast(draws, hn::And(pair, low_half)), highest_dropped, scale);
      keep(values, in + at + kHalf, out + at + kHalf, hn::BitCast(draws, hn::ShiftRight<16>(pair)),
           highest_dropped, scale);
    }
  }
  for (; i < size; ++i) one(i);
}

}  // namespace megin::net::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::net {

HWY_EXPORT(Span);

DropoutSpan dropout_span_for(double probability, uint64_t key) {
  const double threshold = std::min(std::round(probability * 0x1.0p16), 0x1.0p16 - 1);
  return {.key = key,
          .first = 0,
          .threshold = static_cast<uint32_t>(threshold),
          .scale = static_cast<float>(1.0 / (1.0 - threshold * 0x1.0p-16))};
}

void dropout_span(const float* in, float* out, int64_t size, const DropoutSpan& span) {
  HWY_DYNAMIC_DISPATCH(Span)(in, out, size, span);
}

}  // namespace megin::net
#endif
