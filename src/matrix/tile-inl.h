// The inner loop of the products in this folder, compiled once for each instruction set: a tile of the result
// in registers, terms added in ascending order.
#if defined(MEGIN_MATRIX_TILE_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef MEGIN_MATRIX_TILE_INL_H_
#undef MEGIN_MATRIX_TILE_INL_H_
#else
#define MEGIN_MATRIX_TILE_INL_H_
#endif

#include <hwy/highway.h>

#include <algorithm>
#include <cstdint>
#include <utility>

HWY_BEFORE_NAMESPACE();
namespace megin::matrix::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

constexpr int64_t kLanes = hn::MaxLanes(Tag());
constexpr int64_t kPanelWidth = 2 * kLanes;
constexpr int64_t kTileRows = 6;  // 12 accumulators: enough to hide the latency of multiply-add

// Copies a whole row of a panel.
HWY_INLINE void copy_panel_row(const float* from, float* to) {
  const Tag d;
  hn::StoreU(hn::LoadU(d, from), d, to);
  hn::StoreU(hn::LoadU(d, from + kLanes), d, to + kLanes);
}

// Result rows [0, kRows), columns [0, kPanels * kPanelWidth): sum over k of a(row, k) * panel(k, column).
struct Tile {
  const float* a;
  int64_t a_stride;  // rows of a lie so far apart and their terms side by side, or, when adjacent, the other
                     // way round
  const float* panel;    // first of kPanels panels, each [terms][kPanelWidth]
  int64_t panel_stride;  // floats from a panel to the next
  int64_t terms;
  const float* start;    // sums start from here, [rows, columns]; null: from zero
  int64_t start_stride;  // 0: every row from the same values
  float* out;
  int64_t out_stride;
};

template <int kRows, int kPanels, bool kAdjacent>
HWY_INLINE void multiply_tile(const Tile& t) {
  const Tag d;
  Vector sum[kRows][2 * kPanels];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < 2 * kPanels; ++v) {
      sum[r][v] = t.start ? hn::LoadU(d, t.start + r * t.start_stride + v * kLanes) : hn::Zero(d);
    }
  }
  const float* HWY_RESTRICT a = t.a;
  const float* HWY_RESTRICT panel = t.panel;
  for (int64_t k = 0; k < t.terms; ++k, panel += kPanelWidth, a += kAdjacent ? t.a_stride : 1) {
    for (int p = 0; p < kPanels; ++p) {
      const Vector b0 = hn::Load(d, panel + p * t.panel_stride);
      const Vector b1 = hn::Load(d, panel + p * t.panel_stride + kLanes);
      for (int r = 0; r < kRows; ++r) {
        const Vector ar = hn::Set(d, kAdjacent ? a[r] : a[r * t.a_stride]);
        sum[r][2 * p] = hn::MulAdd(ar, b0, sum[r][2 * p]);
        sum[r][2 * p + 1] = hn::MulAdd(ar, b1, sum[r][2 * p + 1]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < 2 * kPanels; ++v) hn::StoreU(sum[r][v], d, t.out + r * t.out_stride + v * kLanes);
  }
}

template <bool kAdjacent>
HWY_INLINE void multiply_rows(int64_t rows, const Tile& t) {
  switch (rows) {
    case 1:
      return multiply_tile<1, 1, kAdjacent>(t);
    case 2:
      return multiply_tile<2, 1, kAdjacent>(t);
    case 3:
      return multiply_tile<3, 1, kAdjacent>(t);
    case 4:
      return multiply_tile<4, 1, kAdjacent>(t);
    case 5:
      return multiply_tile<5, 1, kAdjacent>(t);
    default:
      return multiply_tile<6, 1, kAdjacent>(t);
  }
}

// A panel that reaches beyond the last column: through a buffer of full width.
template <bool kAdjacent>
void multiply_partial(int64_t rows, int64_t columns, Tile t) {
  HWY_ALIGN float buffer[kTileRows * kPanelWidth] = {};
  HWY_ALIGN float shared[kPanelWidth] = {};
  if (t.start && t.start_stride == 0) {
    std::copy_n(t.start, columns, shared);
    t.start = shared;
  } else if (t.start) {
    for (int64_t r = 0; r < rows; ++r)
      std::copy_n(t.start + r * t.start_stride, columns, buffer + r * kPanelWidth);
    t.start = buffer;
    t.start_stride = kPanelWidth;
  }
  float* const out = std::exchange(t.out, buffer);
  const int64_t stride = std::exchange(t.out_stride, kPanelWidth);
  multiply_rows<kAdjacent>(rows, t);
  for (int64_t r = 0; r < rows; ++r) std::copy_n(buffer + r * kPanelWidth, columns, out + r * stride);
}

}  // namespace megin::matrix::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per target
