#include "objective/vocabulary_kernel.h"

#include <algorithm>
#include <cmath>

#include "base/highway_targets.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "objective/vocabulary_kernel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::objective {
namespace HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;

// The number of whole vectors; the tail is done one symbol at a time by a one-lane tag.
HWY_INLINE int64_t whole(int64_t symbols) {
  const auto lanes = static_cast<int64_t>(hn::Lanes(D()));
  return symbols / lanes * lanes;
}

template <typename Tag>
HWY_INLINE float reduce_max(Tag d, hn::Vec<Tag> v) {
  return hn::GetLane(hn::MaxOfLanes(d, v));
}

template <typename Tag>
HWY_INLINE float reduce_sum(Tag d, hn::Vec<Tag> v) {
  return hn::GetLane(hn::SumOfLanes(d, v));
}

using One = hn::CappedTag<float, 1>;

struct Softmax {
  float log_sum = 0;  // log sum_v exp(z_v)
  float scale = 0;    // 1 / sum_v exp(z_v - max z)
  double sum = 0;     // sum_v z_v
};

// Runs body(tag, offset) over all symbols, vector by vector and then one by one.
template <typename Body>
HWY_INLINE void for_symbols(int64_t symbols, const Body& body) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t i = 0;
  for (; i < whole(symbols); i += lanes) body(d, i);
  for (; i < symbols; ++i) body(One(), i);
}

// With kStore also writes exp(z - max z) to `exponential`.
template <bool kStore>
Softmax softmax_of(const float* z, int64_t symbols, float* exponential) {
  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V top = hn::Set(d, z[0]);
  for (int64_t i = 0; i < whole(symbols); i += lanes) top = hn::Max(top, hn::LoadU(d, z + i));
  float highest = reduce_max(d, top);
  for (int64_t i = whole(symbols); i < symbols; ++i) highest = std::max(highest, z[i]);

  V exponentials = hn::Zero(d);
  V plain = hn::Zero(d);
  const V shift = hn::Set(d, highest);
  for (int64_t i = 0; i < whole(symbols); i += lanes) {
    const V moved = hn::Sub(hn::LoadU(d, z + i), shift);
    const V e = hn::Exp(d, moved);
    if constexpr (kStore) hn::StoreU(e, d, exponential + i);
    exponentials = hn::Add(exponentials, e);
    plain = hn::Add(plain, moved);
  }
  double sum_of_exponentials = reduce_sum(d, exponentials);
  double sum = reduce_sum(d, plain);
  for (int64_t i = whole(symbols); i < symbols; ++i) {
    const float e = std::exp(z[i] - highest);
    if constexpr (kStore) exponential[i] = e;
    sum_of_exponentials += e;
    sum += z[i] - highest;
  }
  return {.log_sum = highest + static_cast<float>(std::log(sum_of_exponentials)),
          .scale = static_cast<float>(1.0 / sum_of_exponentials),
          .sum = sum + static_cast<double>(symbols) * highest};
}

void add_cross_entropy(RowLoss& loss, int pass, const Softmax& s, double label_logit, int64_t symbols,
                       const Smoothing& smoothing) {
  const double nll = s.log_sum - label_logit;
  loss.nll[pass] = nll;
  loss.cross_entropy[pass] =
      smoothing.target * nll + smoothing.each * (symbols * static_cast<double>(s.log_sum) - s.sum);
}

double RowCrossEntropy(const float* z, int64_t symbols, int32_t label, const Smoothing& smoothing) {
  RowLoss loss;
  add_cross_entropy(loss, 0, softmax_of<false>(z, symbols, nullptr), z[label], symbols, smoothing);
  return loss.cross_entropy[0];
}

RowLoss OnePass(float* z, int64_t symbols, int32_t label, const VocabularyLossWeights& weights,
                const Smoothing& smoothing, float* scratch) {
  RowLoss loss;
  const Softmax s = softmax_of<true>(z, symbols, scratch);
  add_cross_entropy(loss, 0, s, z[label], symbols, smoothing);
  const auto weight = static_cast<float>(weights.cross_entropy[0]);
  for_symbols(symbols, [&](auto d, int64_t i) {
    const auto p = hn::Mul(hn::LoadU(d, scratch + i), hn::Set(d, s.scale));
    hn::StoreU(hn::Mul(hn::Set(d, weight), hn::Sub(p, hn::Set(d, smoothing.each))), d, z + i);
  });
  z[label] -= weight * smoothing.target;
  return loss;
}

// With a = log p - log q: CR = (KL(p||q) + KL(q||p)) / 2,
//   dCR/dz1 = (p (a - KL(p||q)) + p - q) / 2,  dCR/dz2 = (q (-a - KL(q||p)) + q - p) / 2.
RowLoss TwoPasses(float* z1, float* z2, int64_t symbols, int32_t label, const VocabularyLossWeights& weights,
                  const Smoothing& smoothing, float* scratch) {
  RowLoss loss;
  float *const e1 = scratch, *const e2 = scratch + symbols;
  const Softmax s1 = softmax_of<true>(z1, symbols, e1);
  const Softmax s2 = softmax_of<true>(z2, symbols, e2);
  add_cross_entropy(loss, 0, s1, z1[label], symbols, smoothing);
  add_cross_entropy(loss, 1, s2, z2[label], symbols, smoothing);

  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V forward = hn::Zero(d), backward = hn::Zero(d);
  const V log1 = hn::Set(d, s1.log_sum), log2 = hn::Set(d, s2.log_sum);
  for (int64_t i = 0; i < whole(symbols); i += lanes) {
    const V l1 = hn::Sub(hn::LoadU(d, z1 + i), log1), l2 = hn::Sub(hn::LoadU(d, z2 + i), log2);
    const V a = hn::Sub(l1, l2);
    forward = hn::MulAdd(hn::LoadU(d, e1 + i), a, forward);
    backward = hn::NegMulAdd(hn::LoadU(d, e2 + i), a, backward);
  }
  double kl_first = reduce_sum(d, forward), kl_second = reduce_sum(d, backward);
  for (int64_t i = whole(symbols); i < symbols; ++i) {
    const float l1 = z1[i] - s1.log_sum, l2 = z2[i] - s2.log_sum;
    kl_first += e1[i] * (l1 - l2);
    kl_second -= e2[i] * (l1 - l2);
  }
  kl_first *= s1.scale;
  kl_second *= s2.scale;
  loss.consistency = 0.5 * (kl_first + kl_second);

  const auto w1 = static_cast<float>(weights.cross_entropy[0]),
             w2 = static_cast<float>(weights.cross_entropy[1]);
  const auto half2 = static_cast<float>(0.5 * weights.consistency);
  const float half1 = weights.fixed_first ? 0.0F : half2;
  const auto k1 = static_cast<float>(kl_first), k2 = static_cast<float>(kl_second);
  for_symbols(symbols, [&](auto t, int64_t i) {
    const auto l1 = hn::Sub(hn::LoadU(t, z1 + i), hn::Set(t, s1.log_sum));
    const auto l2 = hn::Sub(hn::LoadU(t, z2 + i), hn::Set(t, s2.log_sum));
    const auto p = hn::Mul(hn::LoadU(t, e1 + i), hn::Set(t, s1.scale));
    const auto q = hn::Mul(hn::LoadU(t, e2 + i), hn::Set(t, s2.scale));
    const auto a = hn::Sub(l1, l2), difference = hn::Sub(p, q), each = hn::Set(t, smoothing.each);
    const auto c1 = hn::MulAdd(p, hn::Sub(a, hn::Set(t, k1)), difference);
    const auto c2 = hn::NegMulSub(q, hn::Add(a, hn::Set(t, k2)), difference);
    hn::StoreU(hn::MulAdd(hn::Set(t, half1), c1, hn::Mul(hn::Set(t, w1), hn::Sub(p, each))), t, z1 + i);
    hn::StoreU(hn::MulAdd(hn::Set(t, half2), c2, hn::Mul(hn::Set(t, w2), hn::Sub(q, each))), t, z2 + i);
  });
  z1[label] -= w1 * smoothing.target;
  z2[label] -= w2 * smoothing.target;
  return loss;
}

// With s and t the logits divided by T: dD/dz = T (p - t).
double Distil(const float* z, float* teacher, int64_t symbols, const VocabularyLossWeights& weights,
              float* scratch) {
  float *const cooled = scratch, *const e_model = scratch + symbols, *const e_teacher = scratch + 2 * symbols;
  const auto by = static_cast<float>(1.0 / weights.temperature);
  for_symbols(symbols, [&](auto d, int64_t i) {
    hn::StoreU(hn::Mul(hn::Set(d, by), hn::LoadU(d, z + i)), d, cooled + i);
    hn::StoreU(hn::Mul(hn::Set(d, by), hn::LoadU(d, teacher + i)), d, teacher + i);
  });
  const Softmax p = softmax_of<true>(cooled, symbols, e_model);
  const Softmax t = softmax_of<true>(teacher, symbols, e_teacher);

  const D d;
  const auto lanes = static_cast<int64_t>(hn::Lanes(d));
  V sum = hn::Zero(d);
  const V log_p = hn::Set(d, p.log_sum), log_t = hn::Set(d, t.log_sum);
  for (int64_t i = 0; i < whole(symbols); i += lanes) {
    const V a = hn::Sub(hn::Sub(hn::LoadU(d, teacher + i), log_t), hn::Sub(hn::LoadU(d, cooled + i), log_p));
    sum = hn::MulAdd(hn::LoadU(d, e_teacher + i), a, sum);
  }
  double divergence = reduce_sum(d, sum);
  for (int64_t i = whole(symbols); i < symbols; ++i) {
    divergence += e_teacher[i] * ((teacher[i] - t.log_sum) - (cooled[i] - p.log_sum));
  }
  const auto weight = static_cast<float>(weights.distillation * weights.temperature);
  for_symbols(symbols, [&](auto tag, int64_t i) {
    const auto of_model = hn::Mul(hn::LoadU(tag, e_model + i), hn::Set(tag, p.scale));
    const auto of_teacher = hn::Mul(hn::LoadU(tag, e_teacher + i), hn::Set(tag, t.scale));
    hn::StoreU(hn::Mul(hn::Set(tag, weight), hn::Sub(of_model, of_teacher)), tag, teacher + i);
  });
  return weights.temperature * weights.temperature * t.scale * divergence;
}

void AddRow(const float* from, int64_t symbols, float* to) {
  for_symbols(symbols, [&](auto d, int64_t i) {
    hn::StoreU(hn::Add(hn::LoadU(d, to + i), hn::LoadU(d, from + i)), d, to + i);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace megin::objective
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::objective {

HWY_EXPORT(RowCrossEntropy);
HWY_EXPORT(OnePass);
HWY_EXPORT(TwoPasses);
HWY_EXPORT(Distil);
HWY_EXPORT(AddRow);

namespace {

Smoothing smoothing_of(double label_smoothing, int64_t symbols) {
  const double each = symbols > 1 ? label_smoothing / static_cast<double>(symbols - 1) : 0.0;
  return {.target = static_cast<float>(1.0 - label_smoothing - each), .each = static_cast<float>(each)};
}

}  // namespace

RowLoss loss_row(float* first, float* second, int64_t symbols, int32_t label,
                 const VocabularyLossWeights& weights, float* scratch) {
  const Smoothing smoothing = smoothing_of(weights.label_smoothing, symbols);
  if (second == nullptr)
    return HWY_DYNAMIC_DISPATCH(OnePass)(first, symbols, label, weights, smoothing, scratch);
  return HWY_DYNAMIC_DISPATCH(TwoPasses)(first, second, symbols, label, weights, smoothing, scratch);
}

double distillation_row(const float* logits, float* teacher, int64_t symbols,
                        const VocabularyLossWeights& weights, float* scratch) {
  return HWY_DYNAMIC_DISPATCH(Distil)(logits, teacher, symbols, weights, scratch);
}

void add_row(const float* from, int64_t symbols, float* to) {
  HWY_DYNAMIC_DISPATCH(AddRow)(from, symbols, to);
}

double cross_entropy_row(const float* logits, int64_t symbols, int32_t label, double label_smoothing) {
  return HWY_DYNAMIC_DISPATCH(RowCrossEntropy)(logits, symbols, label,
                                               smoothing_of(label_smoothing, symbols));
}

}  // namespace megin::objective
#endif
