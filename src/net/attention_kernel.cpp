#include "net/attention_kernel.h"

#include <algorithm>

#include "base/highway_targets.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "net/attention_kernel.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include <hwy/contrib/math/math-inl.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::net::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using OneLane = hn::CappedTag<float, 1>;

// The products of one head are a few rows and columns each: sums stay in registers, for two rows of the
// result and four vectors of columns at a time.
constexpr int64_t kLanes = hn::MaxLanes(Tag());

// Row r of the result is sum_s weights[r * row_step + s * term_step] * terms(s).
struct Weights {
  const float* data;
  int64_t row_step;
  int64_t term_step;
};

struct Product {
  Weights weights;
  HeadRows terms;
  int64_t count;  // terms
  HeadRows out;
  float scale = 1;
};

template <int kRows, int kVectors, typename D>
HWY_INLINE void product_tile(D d, const Product& p, int64_t row, int64_t column) {
  constexpr int64_t kStep = hn::MaxLanes(D());
  hn::Vec<D> sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  const float* HWY_RESTRICT weight = p.weights.data + row * p.weights.row_step;
  const float* HWY_RESTRICT term = p.terms.data + column;
  for (int64_t s = 0; s < p.count; ++s, weight += p.weights.term_step, term += p.terms.stride) {
    hn::Vec<D> x[kVectors];
    for (int v = 0; v < kVectors; ++v) x[v] = hn::LoadU(d, term + v * kStep);
    for (int r = 0; r < kRows; ++r) {
      const auto w = hn::Set(d, weight[r * p.weights.row_step]);
      for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::MulAdd(w, x[v], sum[r][v]);
    }
  }
  for (int r = 0; r < kRows; ++r) {
    float* const out = p.out.data + (row + r) * p.out.stride + column;
    for (int v = 0; v < kVectors; ++v)
      hn::StoreU(hn::Mul(sum[r][v], hn::Set(d, p.scale)), d, out + v * kStep);
  }
}

// Rows [row, row + kRows), columns [0, columns).
template <int kRows>
HWY_INLINE void product_rows(const Product& p, int64_t row, int64_t columns) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= columns; c += 4 * kLanes) product_tile<kRows, 4>(Tag(), p, row, c);
  for (; c + kLanes <= columns; c += kLanes) product_tile<kRows, 1>(Tag(), p, row, c);
  for (; c < columns; ++c) product_tile<kRows, 1>(OneLane(), p, row, c);
}

void product(const Product& p, int64_t rows, int64_t columns) {
  int64_t row = 0;
  for (; row + 2 <= rows; row += 2) product_rows<2>(p, row, columns);
  if (row < rows) product_rows<1>(p, row, columns);
}

// out(i, t) = rows(t, i): a head's rows as columns; zero from column n on.
void transpose(const HeadRows& rows, int64_t n, int64_t width, const HeadRows& out) {
  for (int64_t i = 0; i < width; ++i) {
    float* const to = out.data + i * out.stride;
    for (int64_t t = 0; t < n; ++t) to[t] = rows.data[t * rows.stride + i];
    std::fill(to + n, to + out.stride, 0.0f);
  }
}

// Softmax over p[0, n); zero up to `row`, a multiple of the lanes.
void softmax_row(float* p, int64_t n, int64_t row) {
  const Tag d;
  constexpr float kLowest = -1e30f;
  const int64_t whole = std::min(row, (n + kLanes - 1) / kLanes * kLanes);
  std::fill(p + n, p + whole, kLowest);
  auto top = hn::Set(d, kLowest);
  for (int64_t s = 0; s < whole; s += kLanes) top = hn::Max(top, hn::LoadU(d, p + s));
  top = hn::MaxOfLanes(d, top);
  auto sum = hn::Zero(d);
  for (int64_t s = 0; s < whole; s += kLanes) {
    const auto e = hn::Exp(d, hn::Sub(hn::LoadU(d, p + s), top));
    sum = hn::Add(sum, e);
    hn::StoreU(e, d, p + s);
  }
  const auto scale = hn::Div(hn::Set(d, 1.0f), hn::SumOfLanes(d, sum));
  for (int64_t s = 0; s < whole; s += kLanes) hn::StoreU(hn::Mul(hn::LoadU(d, p + s), scale), d, p + s);
  std::fill(p + whole, p + row, 0.0f);
}

int64_t visible(const HeadShape& shape, int64_t t) {
  return shape.causal ? shape.keys - shape.queries + t + 1 : shape.keys;
}

// The scores of distances, and their gradients, stand with the farthest distance first, so that they ascend
// with the key: those of query t's keys from 0 on begin at this column.
int64_t first_distance(const HeadShape& shape, int64_t t) {
  return shape.queries - 1 - t;
}

// Rows from the last to the first.
HeadRows backwards(const HeadRows& rows, int64_t n) {
  return {.data = rows.data + (n - 1) * rows.stride, .stride = -rows.stride};
}

// Adds to each query's scores those of the distances to the keys that it sees. scratch: [width + queries,
// row].
void add_distance_scores(const Head& head, const HeadShape& shape, const HeadRows& scores, int64_t columns,
                         float* scratch) {
  const Tag d;
  const HeadRows distances{.data = scratch, .stride = shape.row};
  transpose(backwards(head.distances, shape.keys), shape.keys, shape.width, distances);
  const HeadRows by_distance{.data = scratch + shape.width * shape.row, .stride = shape.row};
  product({.weights = {head.distance_query.data, head.distance_query.stride, 1},
           .terms = distances,
           .count = shape.width,
           .out = by_distance,
           .scale = shape.scale},
          shape.queries, columns);
  for (int64_t t = 0; t < shape.queries; ++t) {
    float* const to = scores.data + t * scores.stride;
    const float* const from = by_distance.data + t * by_distance.stride + first_distance(shape, t);
    // The last vector may reach into the next row, for keys that the query does not see.
    for (int64_t s = 0; s < visible(shape, t); s += kLanes) {
      hn::StoreU(hn::Add(hn::LoadU(d, to + s), hn::LoadU(d, from + s)), d, to + s);
    }
  }
}

// scores: the gradients of the scores, which become those of the distances in their place.
void distance_gradients(const Head& head, const HeadGradients& gradients, const HeadShape& shape,
                        const HeadRows& scores) {
  for (int64_t t = 0; t < shape.queries; ++t) {
    float* const row = scores.data + t * scores.stride;
    std::copy_backward(row, row + visible(shape, t), row + shape.keys);
    std::fill_n(row, first_distance(shape, t), 0.0f);
  }
  product({.weights = {scores.data, scores.stride, 1},
           .terms = backwards(head.distances, shape.keys),
           .count = shape.keys,
           .out = gradients.distance_query},
          shape.queries, shape.width);
  product({.weights = {scores.data, 1, scores.stride},
           .terms = head.distance_query,
           .count = shape.queries,
           .out = backwards(gradients.distances, shape.keys)},
          shape.keys, shape.width);
}

// to[s] += factor * from[s].
HWY_INLINE void add_row(const float* HWY_RESTRICT from, float factor, int64_t n, float* HWY_RESTRICT to) {
  for (int64_t s = 0; s < n; ++s) to[s] += factor * from[s];
}

void Attend(const Head& head, const HeadShape& shape, float* scratch) {
  const HeadRows keys{.data = scratch, .stride = shape.row};  // [width, row]
  transpose(head.key, shape.keys, shape.width, keys);
  const HeadRows probabilities{.data = head.probabilities, .stride = shape.row};
  const int64_t columns = std::min(shape.row, (shape.keys + kLanes - 1) / kLanes * kLanes);
  product({.weights = {head.query.data, head.query.stride, 1},
           .terms = keys,
           .count = shape.width,
           .out = probabilities,
           .scale = shape.scale},
          shape.queries, columns);
  if (shape.relative) add_distance_scores(head, shape, probabilities, columns, scratch);
  for (int64_t t = 0; t < shape.queries; ++t) {
    if (head.position_bias != nullptr) {
      add_row(head.position_bias - t, 1.0f, visible(shape, t), head.probabilities + t * shape.row);
    }
    softmax_row(head.probabilities + t * shape.row, visible(shape, t), shape.row);
  }
  product({.weights = {head.probabilities, shape.row, 1},
           .terms = head.value,
           .count = shape.keys,
           .out = head.output},
          shape.queries, shape.width);
}

// With dP = dO V^T: dS = scale P (dP - rowsum(P dP)), dQ = dS K, dK = dS^T Q, dV = P^T dO; of the distances
// as of the keys, with dS moved to where a distance stands; and dS / scale is the gradient of what positions
// add.
void AttendBackward(const Head& head, const HeadGradients& gradients, const HeadShape& shape,
                    float* scratch) {
  const Tag d;
  const HeadRows values{.data = scratch, .stride = shape.row};                            // [width, row]
  const HeadRows scores{.data = scratch + shape.width * shape.row, .stride = shape.row};  // [queries, row]
  transpose(head.value, shape.keys, shape.width, values);
  const int64_t columns = std::min(shape.row, (shape.keys + kLanes - 1) / kLanes * kLanes);
  product({.weights = {gradients.output.data, gradients.output.stride, 1},
           .terms = values,
           .count = shape.width,
           .out = scores},
          shape.queries, columns);
  const auto scale = hn::Set(d, shape.scale);
  for (int64_t t = 0; t < shape.queries; ++t) {
    const float* const p = head.probabilities + t * shape.row;
    float* const ds = scores.data + t * scores.stride;
    auto sum = hn::Zero(d);
    for (int64_t s = 0; s < columns; s += kLanes)
      sum = hn::MulAdd(hn::LoadU(d, p + s), hn::LoadU(d, ds + s), sum);
    const auto mean = hn::SumOfLanes(d, sum);
    for (int64_t s = 0; s < columns; s += kLanes) {
      const auto centred = hn::Sub(hn::LoadU(d, ds + s), mean);
      hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, p + s), centred), scale), d, ds + s);
    }
    if (gradients.position_bias != nullptr) {
      add_row(ds, 1.0f / shape.scale, visible(shape, t), gradients.position_bias - t);
    }
  }
  product({.weights = {scores.data, scores.stride, 1},
           .terms = head.key,
           .count = shape.keys,
           .out = gradients.query},
          shape.queries, shape.width);
  product({.weights = {scores.data, 1, scores.stride},
           .terms = head.query,
           .count = shape.queries,
           .out = gradients.key},
          shape.keys, shape.width);
  product({.weights = {head.probabilities, 1, shape.row},
           .terms = gradients.output,
           .count = shape.queries,
           .out = gradients.value},
          shape.keys, shape.width);
  if (shape.relative) distance_gradients(head, gradients, shape, scores);
}

}  // namespace megin::net::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::net {

HWY_EXPORT(Attend);
HWY_EXPORT(AttendBackward);

int64_t attention_row(int64_t keys) {
  constexpr int64_t kMultiple = 16;  // lanes of the widest vectors
  // Rows that are a multiple of this many floats apart would share a few sets of the first cache.
  constexpr int64_t kTooEven = 64;
  const int64_t row = (keys + kMultiple - 1) / kMultiple * kMultiple;
  return row % kTooEven == 0 ? row + kMultiple : row;
}

int64_t attention_scratch(const HeadShape& shape) {
  return (shape.width + shape.queries) * shape.row;
}

void attend_head(const Head& head, const HeadShape& shape, float* scratch) {
  HWY_DYNAMIC_DISPATCH(Attend)(head, shape, scratch);
}

void attend_head_backward(const Head& head, const HeadGradients& gradients, const HeadShape& shape,
                          float* scratch) {
  HWY_DYNAMIC_DISPATCH(AttendBackward)(head, gradients, shape, scratch);
}

}  // namespace megin::net
#endif
