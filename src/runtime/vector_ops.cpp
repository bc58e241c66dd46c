#include "runtime/vector_ops.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/highway_targets.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/vector_ops.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::runtime::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;
constexpr int64_t kLanes = hn::MaxLanes(Tag());

// The last vector of a row, filled up with `fill`; reads nothing beyond the row.
HWY_INLINE Vector load_part(const float* from, int64_t count, float fill) {
  HWY_ALIGN float buffer[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) buffer[i] = i < count ? from[i] : fill;
  return hn::Load(Tag(), buffer);
}

HWY_INLINE void store_part(Vector v, int64_t count, float* to) {
  HWY_ALIGN float buffer[kLanes];
  hn::Store(v, Tag(), buffer);
  std::copy_n(buffer, count, to);
}

// to[i] = f(from[i]) for whole vectors; the end of the row goes through the same f.
template <typename F>
HWY_INLINE void map(const float* from, int64_t n, float* to, F&& f) {
  const Tag d;
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) hn::StoreU(f(hn::LoadU(d, from + i), i), d, to + i);
  if (i < n) store_part(f(load_part(from + i, n - i, 0.0F), i), n - i, to + i);
}

// Sum of f(x[i]) in an order that depends on n only; f(fill) must be 0.
template <typename F>
HWY_INLINE float sum(const float* x, int64_t n, float fill, F&& f) {
  const Tag d;
  Vector s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    s0 = hn::Add(s0, f(hn::LoadU(d, x + i)));
    s1 = hn::Add(s1, f(hn::LoadU(d, x + i + kLanes)));
    s2 = hn::Add(s2, f(hn::LoadU(d, x + i + 2 * kLanes)));
    s3 = hn::Add(s3, f(hn::LoadU(d, x + i + 3 * kLanes)));
  }
  for (; i + kLanes <= n; i += kLanes) s0 = hn::Add(s0, f(hn::LoadU(d, x + i)));
  if (i < n) s1 = hn::Add(s1, f(load_part(x + i, n - i, fill)));
  return hn::GetLane(hn::SumOfLanes(d, hn::Add(hn::Add(s0, s1), hn::Add(s2, s3))));
}

HWY_INLINE Vector load_any(const float* from, int64_t i, int64_t n) {
  return i + kLanes <= n ? hn::LoadU(Tag(), from + i) : load_part(from + i, n - i, 0.0F);
}

void normalise(const NormWeights& norm, ConstRows x, Rows y) {
  const Tag d;
  const int64_t n = static_cast<int64_t>(norm.weight.size());
  const float* weight = norm.weight.data();
  const float* bias = norm.bias.empty() ? nullptr : norm.bias.data();
  for (int64_t r = 0; r < x.count; ++r) {
    const float* from = x.row(r);
    const float mean =
        bias ? sum(from, n, 0.0F, [](Vector v) HWY_ATTR { return v; }) / static_cast<float>(n) : 0.0F;
    const Vector middle = hn::Set(d, mean);
    const float squares = sum(from, n, mean, [&](Vector v) HWY_ATTR {
      const Vector c = hn::Sub(v, middle);
      return hn::Mul(c, c);
    });
    const Vector factor = hn::Set(d, 1.0F / std::sqrt(squares / static_cast<float>(n) + norm.epsilon));
    map(from, n, y.row(r), [&](Vector v, int64_t i) HWY_ATTR {
      const Vector scaled = hn::Mul(hn::Mul(hn::Sub(v, middle), factor), load_any(weight, i, n));
      return bias ? hn::Add(scaled, load_any(bias, i, n)) : scaled;
    });
  }
}

void add(ConstRows y, int64_t width, Rows x) {
  for (int64_t r = 0; r < x.count; ++r) {
    const float* from = y.row(r);
    map(x.row(r), width, x.row(r),
        [&](Vector v, int64_t i) HWY_ATTR { return hn::Add(v, load_any(from, i, width)); });
  }
}

void scale(float factor, int64_t width, Rows x) {
  const Vector f = hn::Set(Tag(), factor);
  for (int64_t r = 0; r < x.count; ++r) {
    map(x.row(r), width, x.row(r), [&](Vector v, int64_t) HWY_ATTR { return hn::Mul(v, f); });
  }
}

HWY_INLINE Vector relu(Vector x) {
  return hn::Max(x, hn::Zero(Tag()));
}

// x * sigmoid(x), with the exponential of -|x| so that nothing overflows.
HWY_INLINE Vector silu(Vector x) {
  const Tag d;
  const Vector one = hn::Set(d, 1.0F);
  const Vector e = hn::Exp(d, hn::Neg(hn::Abs(x)));
  const Vector numerator = hn::IfThenElse(hn::Ge(x, hn::Zero(d)), one, e);
  return hn::Mul(x, hn::Div(numerator, hn::Add(one, e)));
}

// No vector erf is at hand; the exact form costs a library call an element.
HWY_INLINE Vector gelu(Vector x) {
  HWY_ALIGN float values[kLanes];
  hn::Store(x, Tag(), values);
  for (float& v : values) v = 0.5F * v * (1.0F + std::erf(v * (1.0F / std::numbers::sqrt2_v<float>)));
  return hn::Load(Tag(), values);
}

// x * sigmoid(2 sqrt(2/pi) (x + 0.044715 x^3)), which is the form with tanh.
HWY_INLINE Vector gelu_tanh(Vector x) {
  const Tag d;
  const Vector one = hn::Set(d, 1.0F);
  const Vector cubic = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.044715F), one);
  const Vector z = hn::Mul(hn::Mul(x, cubic), hn::Set(d, 1.5957691216F));
  const Vector e = hn::Exp(d, hn::Neg(hn::Abs(z)));
  const Vector numerator = hn::IfThenElse(hn::Ge(z, hn::Zero(d)), one, e);
  return hn::Mul(x, hn::Div(numerator, hn::Add(one, e)));
}

template <typename Act>
HWY_INLINE void activate_rows(int64_t width, Rows h, Act&& act) {
  for (int64_t r = 0; r < h.count; ++r) {
    map(h.row(r), width, h.row(r), [&](Vector v, int64_t) HWY_ATTR { return act(v); });
  }
}

template <typename Act>
HWY_INLINE void gate_rows(int64_t width, ConstRows gate, Rows h, Act&& act) {
  for (int64_t r = 0; r < h.count; ++r) {
    const float* g = gate.row(r);
    map(h.row(r), width, h.row(r),
        [&](Vector v, int64_t i) HWY_ATTR { return hn::Mul(act(load_any(g, i, width)), v); });
  }
}

void activate(config::Activation activation, int64_t width, ConstRows gate, Rows h) {
  const auto by_relu = [](Vector v) HWY_ATTR { return relu(v); };
  const auto by_gelu = [](Vector v) HWY_ATTR { return gelu(v); };
  const auto by_silu = [](Vector v) HWY_ATTR { return silu(v); };
  const auto by_gelu_tanh = [](Vector v) HWY_ATTR { return gelu_tanh(v); };
  switch (activation) {
    case config::Activation::kRelu:
      return activate_rows(width, h, by_relu);
    case config::Activation::kGelu:
      return activate_rows(width, h, by_gelu);
    case config::Activation::kSilu:
      return activate_rows(width, h, by_silu);
    case config::Activation::kGeluTanh:
      return activate_rows(width, h, by_gelu_tanh);
    case config::Activation::kReglu:
      return gate_rows(width, gate, h, by_relu);
    case config::Activation::kGeglu:
      return gate_rows(width, gate, h, by_gelu);
    case config::Activation::kSwiglu:
      return gate_rows(width, gate, h, by_silu);
    case config::Activation::kGegluTanh:
      return gate_rows(width, gate, h, by_gelu_tanh);
  }
}

HWY_INLINE float maximum(const float* x, int64_t n) {
  const Tag d;
  constexpr float kLowest = -std::numeric_limits<float>::infinity();
  Vector m = hn::Set(d, kLowest);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) m = hn::Max(m, hn::LoadU(d, x + i));
  if (i < n) m = hn::Max(m, load_part(x + i, n - i, kLowest));
  return hn::GetLane(hn::MaxOfLanes(d, m));
}

void log_softmax(int64_t width, Rows x) {
  const Tag d;
  for (int64_t r = 0; r < x.count; ++r) {
    float* row = x.row(r);
    const Vector top = hn::Set(d, maximum(row, width));
    // exp(lowest - top) is 0.
    const float total = sum(row, width, std::numeric_limits<float>::lowest(),
                            [&](Vector v) HWY_ATTR { return hn::Exp(d, hn::Sub(v, top)); });
    const Vector log_total = hn::Set(d, std::log(total));
    map(row, width, row, [&](Vector v, int64_t) HWY_ATTR { return hn::Sub(hn::Sub(v, top), log_total); });
  }
}

}  // namespace megin::runtime::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::runtime {

HWY_EXPORT(normalise);
HWY_EXPORT(add);
HWY_EXPORT(scale);
HWY_EXPORT(activate);
HWY_EXPORT(log_softmax);

void normalise(const NormWeights& norm, ConstRows x, Rows y) {
  HWY_DYNAMIC_DISPATCH(normalise)(norm, x, y);
}
void add(ConstRows y, int64_t width, Rows x) {
  HWY_DYNAMIC_DISPATCH(add)(y, width, x);
}
void scale(float factor, int64_t width, Rows x) {
  HWY_DYNAMIC_DISPATCH(scale)(factor, width, x);
}
void activate(config::Activation activation, int64_t width, ConstRows gate, Rows h) {
  HWY_DYNAMIC_DISPATCH(activate)(activation, width, gate, h);
}
void log_softmax(int64_t width, Rows x) {
  HWY_DYNAMIC_DISPATCH(log_softmax)(width, x);
}

}  // namespace megin::runtime
#endif  // HWY_ONCE
