#include "runtime/attention.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "base/highway_targets.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/attention.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::runtime::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::CappedTag<float, kBlockPositions>;
using Vector = hn::Vec<Tag>;
constexpr int64_t kLanes = hn::MaxLanes(Tag());
constexpr int64_t kBlockVectors = kBlockPositions / kLanes;

// scores of the 16 positions of one block: four sums over every fourth column, for latency.
HWY_INLINE void block_scores(const float* HWY_RESTRICT query, const float* HWY_RESTRICT keys, int64_t width,
                             float factor, float* HWY_RESTRICT scores) {
  const Tag d;
  Vector sum[4][kBlockVectors];
  for (auto& chain : sum) {
    for (Vector& v : chain) v = hn::Zero(d);
  }
  int64_t c = 0;
  for (; c + 4 <= width; c += 4) {
    for (int64_t i = 0; i < 4; ++i) {
      const Vector q = hn::Set(d, query[c + i]);
      for (int64_t v = 0; v < kBlockVectors; ++v) {
        sum[i][v] = hn::MulAdd(q, hn::Load(d, keys + (c + i) * kBlockPositions + v * kLanes), sum[i][v]);
      }
    }
  }
  for (; c < width; ++c) {
    const Vector q = hn::Set(d, query[c]);
    for (int64_t v = 0; v < kBlockVectors; ++v) {
      sum[0][v] = hn::MulAdd(q, hn::Load(d, keys + c * kBlockPositions + v * kLanes), sum[0][v]);
    }
  }
  for (int64_t v = 0; v < kBlockVectors; ++v) {
    const Vector total = hn::Add(hn::Add(sum[0][v], sum[1][v]), hn::Add(sum[2][v], sum[3][v]));
    hn::StoreU(hn::Mul(total, hn::Set(d, factor)), d, scores + v * kLanes);
  }
}

// In place: exp(score - maximum); returns the sum. Positions before `skipped` and from `length` on get 0.
HWY_INLINE float exponentials(int64_t skipped, int64_t length, float* scores) {
  const Tag d;
  const int64_t padded = kBlockPositions * blocks_for(length);
  std::fill(scores, scores + skipped, std::numeric_limits<float>::lowest());
  std::fill(scores + length, scores + padded, std::numeric_limits<float>::lowest());
  Vector top = hn::LoadU(d, scores);
  for (int64_t i = kLanes; i < padded; i += kLanes) top = hn::Max(top, hn::LoadU(d, scores + i));
  top = hn::MaxOfLanes(d, top);
  Vector total = hn::Zero(d);
  for (int64_t i = 0; i < padded; i += kLanes) {
    const Vector e = hn::Exp(d, hn::Sub(hn::LoadU(d, scores + i), top));
    hn::StoreU(e, d, scores + i);
    total = hn::Add(total, e);
  }
  return hn::GetLane(hn::SumOfLanes(d, total));
}

// kVectors vectors of a head's context, from column `column` of the values on: two sums, over the even and
// the odd positions.
template <int kVectors>
HWY_INLINE void weigh_values(const AttentionCall& call, int64_t values, int64_t width, float factor,
                             float* HWY_RESTRICT to) {
  const Tag d;
  Vector even[kVectors], odd[kVectors];
  for (int v = 0; v < kVectors; ++v) even[v] = odd[v] = hn::Zero(d);
  for (int64_t first = 0; first < call.length; first += kBlockPositions) {
    const float* HWY_RESTRICT row = call.blocks[first / kBlockPositions] + values;
    const float* HWY_RESTRICT p = call.scores + first;
    const int64_t count = std::min(kBlockPositions, call.length - first);
    int64_t j = 0;
    for (; j + 2 <= count; j += 2, row += 2 * width) {
      const Vector p0 = hn::Set(d, p[j]), p1 = hn::Set(d, p[j + 1]);
      for (int v = 0; v < kVectors; ++v) {
        even[v] = hn::MulAdd(p0, hn::LoadU(d, row + v * kLanes), even[v]);
        odd[v] = hn::MulAdd(p1, hn::LoadU(d, row + width + v * kLanes), odd[v]);
      }
    }
    if (j < count) {
      const Vector p0 = hn::Set(d, p[j]);
      for (int v = 0; v < kVectors; ++v) {
        even[v] = hn::MulAdd(p0, hn::LoadU(d, row + v * kLanes), even[v]);
      }
    }
  }
  for (int v = 0; v < kVectors; ++v) {
    hn::StoreU(hn::Mul(hn::Add(even[v], odd[v]), hn::Set(d, factor)), d, to + v * kLanes);
  }
}

// One column, for heads that are no multiple of a vector.
HWY_INLINE float weigh_column(const AttentionCall& call, int64_t column, int64_t width, float factor) {
  float total = 0.0F;
  for (int64_t j = 0; j < call.length; ++j) {
    const float* block = call.blocks[j / kBlockPositions];
    total += call.scores[j] * block[column + (j % kBlockPositions) * width];
  }
  return total * factor;
}

// Adds to a head's scores those of the distances.
HWY_INLINE void add_distances(const AttentionCall& call, int64_t column, const AttentionShape& shape,
                              float factor) {
  const DistanceTerms& distances = call.distances;
  const int64_t seen = call.length - call.skipped;
  for (int64_t b = 0; b < blocks_for(seen); ++b) {
    block_scores(distances.query + column, distances.vectors + (b * shape.width() + column) * kBlockPositions,
                 shape.head_width, factor, distances.scores + b * kBlockPositions);
  }
  for (int64_t n = 0; n < seen; ++n) call.scores[call.length - 1 - n] += distances.scores[n];
}

HWY_INLINE void add_positions(const AttentionCall& call, int64_t head) {
  const float* HWY_RESTRICT bias = call.positions.bias + head * call.positions.stride;
  float* HWY_RESTRICT scores = call.scores;
  for (int64_t j = 0; j < call.length; ++j) scores[j] += bias[j];
}

void attend(const AttentionShape& shape, const AttentionCall& call) {
  const int64_t width = shape.width(), head_width = shape.head_width;
  const float factor = shape.scaled ? 1.0F / std::sqrt(static_cast<float>(head_width)) : 1.0F;
  const int64_t values = kBlockPositions * width;  // where a block's values begin
  for (int64_t h = 0; h < shape.heads; ++h) {
    const int64_t column = h * head_width;
    for (int64_t b = 0; b < blocks_for(call.length); ++b) {
      block_scores(call.query + column, call.blocks[b] + column * kBlockPositions, head_width, factor,
                   call.scores + b * kBlockPositions);
    }
    if (call.distances.query != nullptr) add_distances(call, column, shape, factor);
    if (call.positions.bias != nullptr) add_positions(call, h);
    const float inverse = 1.0F / exponentials(call.skipped, call.length, call.scores);
    int64_t c = 0;
    for (; c + 4 * kLanes <= head_width; c += 4 * kLanes) {
      weigh_values<4>(call, values + column + c, width, inverse, call.context + column + c);
    }
    for (; c + kLanes <= head_width; c += kLanes) {
      weigh_values<1>(call, values + column + c, width, inverse, call.context + column + c);
    }
    for (; c < head_width; ++c) {
      call.context[column + c] = weigh_column(call, values + column + c, width, inverse);
    }
  }
}

}  // namespace megin::runtime::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::runtime {

HWY_EXPORT(attend);

void attend(const AttentionShape& shape, const AttentionCall& call) {
  assert(call.length > 0 && call.skipped < call.length);
  HWY_DYNAMIC_DISPATCH(attend)(shape, call);
}

void store_keys(const AttentionShape& shape, const float* key, int64_t slot, float* block) {
  for (int64_t c = 0; c < shape.width(); ++c) block[c * kBlockPositions + slot] = key[c];
}

void store_position(const AttentionShape& shape, const float* key, const float* value, int64_t slot,
                    float* block) {
  const int64_t width = shape.width();
  store_keys(shape, key, slot, block);
  std::copy_n(value, width, block + kBlockPositions * width + slot * width);
}

}  // namespace megin::runtime
#endif  // HWY_ONCE
