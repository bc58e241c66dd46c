#include "net/attention_kernel.h"

#include <algorithm>
#include <limits>

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

// Sums stay in registers, for a few rows of the result and four vectors of columns at a time: as many rows as
// the registers of the instruction set hold.
constexpr int64_t kLanes = hn::MaxLanes(Tag());
constexpr int kTileRows = HWY_TARGET <= HWY_AVX3 ? 4 : 2;

// What of row r takes part in a product: [begin + r * begin_slope, end + r * end_slope), as far as it exists.
// Causal attention has such slopes, as each query sees one key more than the query before it.
struct Span {
  int64_t begin, end;
  int64_t begin_slope = 0, end_slope = 0;

  int64_t begin_of(int64_t row) const { return begin + row * begin_slope; }
  int64_t end_of(int64_t row) const { return end + row * end_slope; }

  // What of any of the rows [row, row + count) takes part, of [0, n).
  Span of_rows(int64_t row, int64_t count, int64_t n) const {
    const int64_t last = row + count - 1;
    return {.begin = std::clamp<int64_t>(std::min(begin_of(row), begin_of(last)), 0, n),
            .end = std::clamp<int64_t>(std::max(end_of(row), end_of(last)), 0, n)};
  }
};

// Row r of the result is sum_s weights[r * row_step + s * term_step] * terms(s).
struct Weights {
  const float* data;
  int64_t row_step;
  int64_t term_step;
};

// Weights of terms outside `summed` must be zero where another row of the same kTileRows has its span.
// Columns outside `wanted` may be left as they are.
struct Product {
  Weights weights;
  HeadRows terms;
  int64_t count;  // terms
  HeadRows out;
  float scale = 1;
  Span summed = {0, count};
  Span wanted = {0, std::numeric_limits<int64_t>::max()};
};

template <int kRows, int kVectors, typename D>
HWY_INLINE void product_tile(D d, const Product& p, const Span& summed, int64_t row, int64_t column) {
  constexpr int64_t kStep = hn::MaxLanes(D());
  hn::Vec<D> sum[kRows][kVectors];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < kVectors; ++v) sum[r][v] = hn::Zero(d);
  }
  const float* HWY_RESTRICT weight =
      p.weights.data + row * p.weights.row_step + summed.begin * p.weights.term_step;
  const float* HWY_RESTRICT term = p.terms.data + summed.begin * p.terms.stride + column;
  for (int64_t s = summed.begin; s < summed.end; ++s, weight += p.weights.term_step, term += p.terms.stride) {
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

template <int kRows, int kVectors, typename D>
HWY_INLINE void product_tile_of(D d, const Product& p, int64_t row, int64_t column) {
  constexpr int64_t kColumns = kVectors * hn::MaxLanes(D());
  const Span wanted = p.wanted.of_rows(row, kRows, std::numeric_limits<int64_t>::max());
  if (column >= wanted.end || column + kColumns <= wanted.begin) return;
  product_tile<kRows, kVectors>(d, p, p.summed.of_rows(row, kRows, p.count), row, column);
}

// All rows of the columns that kVectors hold: their terms stay in the first cache.
template <int kVectors, typename D>
HWY_INLINE void product_columns(D d, const Product& p, int64_t rows, int64_t column) {
  int64_t row = 0;
  for (; row + kTileRows <= rows; row += kTileRows) product_tile_of<kTileRows, kVectors>(d, p, row, column);
  for (; row + 2 <= rows; row += 2) product_tile_of<2, kVectors>(d, p, row, column);
  if (row < rows) product_tile_of<1, kVectors>(d, p, row, column);
}

void product(const Product& p, int64_t rows, int64_t columns) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= columns; c += 4 * kLanes) product_columns<4>(Tag(), p, rows, c);
  for (; c + kLanes <= columns; c += kLanes) product_columns<1>(Tag(), p, rows, c);
  for (; c < columns; ++c) product_columns<1>(OneLane(), p, rows, c);
}

// out(i, t) = rows(t, i): a head's rows as columns; zero from column n on. A few rows at a time, which stay
// in the first cache, as does where they go.
void transpose(const HeadRows& rows, int64_t n, int64_t width, const HeadRows& out) {
  for (int64_t first = 0; first < n; first += kLanes) {
    const int64_t last = std::min(n, first + kLanes);
    for (int64_t i = 0; i < width; ++i) {
      float* const to = out.data + i * out.stride;
      for (int64_t t = first; t < last; ++t) to[t] = rows.data[t * rows.stride + i];
    }
  }
  for (int64_t i = 0; i < width; ++i) {
    float* const to = out.data + i * out.stride;
    std::fill(to + n, to + out.stride, 0.0f);
  }
}

// The next multiple of the lanes.
int64_t whole_vectors(int64_t n) {
  return (n + kLanes - 1) / kLanes * kLanes;
}

// Softmax over p[0, n); zero up to `row`, a multiple of the lanes.
void softmax_row(float* p, int64_t n, int64_t row) {
  const Tag d;
  constexpr float kLowest = -1e30f;
  const int64_t whole = std::min(row, whole_vectors(n));
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

// The keys that query t sees.
Span visible_keys(const HeadShape& shape) {
  return {.begin = 0, .end = visible(shape, 0), .end_slope = shape.causal ? 1 : 0};
}

// The queries that see key s.
Span seeing_queries(const HeadShape& shape) {
  if (!shape.causal) return {.begin = 0, .end = shape.queries};
  return {.begin = shape.queries - shape.keys, .end = shape.queries, .begin_slope = 1};
}

// The scores of distances, and their gradients, stand with the farthest distance first, so that they ascend
// with the key: those of query t's keys from 0 on begin at this column.
int64_t first_distance(const HeadShape& shape, int64_t t) {
  return shape.queries - 1 - t;
}

// The columns of the distances from query t to the keys that it sees.
Span visible_distances(const HeadShape& shape) {
  return {.begin = first_distance(shape, 0), .end = shape.keys, .begin_slope = -1};
}

// The queries with a visible key at the distance of column n.
Span queries_at_distance(const HeadShape& shape) {
  return {.begin = shape.queries - 1, .end = shape.queries, .begin_slope = -1};
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
           .scale = shape.scale,
           .wanted = visible_distances(shape)},
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
           .out = gradients.distance_query,
           .summed = visible_distances(shape)},
          shape.queries, shape.width);
  product({.weights = {scores.data, 1, scores.stride},
           .terms = head.distance_query,
           .count = shape.queries,
           .out = backwards(gradients.distances, shape.keys),
           .summed = queries_at_distance(shape)},
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
  const int64_t columns = std::min(shape.row, whole_vectors(shape.keys));
  product({.weights = {head.query.data, head.query.stride, 1},
           .terms = keys,
           .count = shape.width,
           .out = probabilities,
           .scale = shape.scale,
           .wanted = visible_keys(shape)},
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
           .out = head.output,
           .summed = visible_keys(shape)},
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
  const int64_t columns = std::min(shape.row, whole_vectors(shape.keys));
  product({.weights = {gradients.output.data, gradients.output.stride, 1},
           .terms = values,
           .count = shape.width,
           .out = scores,
           .wanted = visible_keys(shape)},
          shape.queries, columns);
  const auto scale = hn::Set(d, shape.scale);
  for (int64_t t = 0; t < shape.queries; ++t) {
    const float* const p = head.probabilities + t * shape.row;
    float* const ds = scores.data + t * scores.stride;
    const int64_t whole = std::min(columns, whole_vectors(visible(shape, t)));
    auto sum = hn::Zero(d);
    for (int64_t s = 0; s < whole; s += kLanes)
      sum = hn::MulAdd(hn::LoadU(d, p + s), hn::LoadU(d, ds + s), sum);
    const auto mean = hn::SumOfLanes(d, sum);
    for (int64_t s = 0; s < whole; s += kLanes) {
      const auto centred = hn::Sub(hn::LoadU(d, ds + s), mean);
      hn::StoreU(hn::Mul(hn::Mul(hn::LoadU(d, p + s), centred), scale), d, ds + s);
    }
    std::fill(ds + whole, ds + std::min(shape.row, whole + kTileRows), 0.0f);
    if (gradients.position_bias != nullptr) {
      add_row(ds, 1.0f / shape.scale, visible(shape, t), gradients.position_bias - t);
    }
  }
  product({.weights = {scores.data, scores.stride, 1},
           .terms = head.key,
           .count = shape.keys,
           .out = gradients.query,
           .summed = visible_keys(shape)},
          shape.queries, shape.width);
  product({.weights = {scores.data, 1, scores.stride},
           .terms = head.query,
           .count = shape.queries,
           .out = gradients.key,
           .summed = seeing_queries(shape)},
          shape.keys, shape.width);
  product({.weights = {head.probabilities, 1, shape.row},
           .terms = gradients.output,
           .count = shape.queries,
           .out = gradients.value,
           .summed = seeing_queries(shape)},
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
