#include "matrix/gradient_product.h"

#include <algorithm>
#include <cassert>

#include "base/highway_targets.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "matrix/gradient_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "matrix/tile-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::matrix::HWY_NAMESPACE {

constexpr int64_t kBlockRows = 256;  // a panel of x of so many rows stays in the first-level cache
constexpr int64_t kBlockOutputs = 16 * kTileRows;  // and the tiles of dy beside it in the second

// Rows of dy that lie so close together are read where they are: a block of them fits the second-level cache.
constexpr int64_t kNarrow = 384;

// x as panels [columns / kPanelWidth][rows][kPanelWidth], the last one filled up with zeros.
void pack_panels(ConstRows x, int64_t columns, float* to) {
  for (int64_t c = 0; c < columns; c += kPanelWidth, to += x.count * kPanelWidth) {
    const int64_t width = std::min(kPanelWidth, columns - c);
    for (int64_t r = 0; r < x.count; ++r) {
      const float* const from = x.row(r) + c;
      float* const row = to + r * kPanelWidth;
      if (width == kPanelWidth) {
        copy_panel_row(from, row);
      } else {
        std::fill(std::copy_n(from, width, row), row + kPanelWidth, 0.0F);
      }
    }
  }
}

HWY_INLINE void copy_tile_row(const float* from, float* to) {
  const hn::CappedTag<float, 2> d;
  constexpr int64_t kStep = hn::MaxLanes(hn::CappedTag<float, 2>());
  static_assert(kTileRows % kStep == 0);
  for (int64_t i = 0; i < kTileRows; i += kStep) hn::StoreU(hn::LoadU(d, from + i), d, to + i);
}

// Columns [0, columns) of dy as tiles [columns / kTileRows][rows][kTileRows]; what a last tile has beyond
// them is never read.
void pack_tiles(ConstRows dy, int64_t columns, float* to) {
  const int64_t whole = columns / kTileRows;
  for (int64_t r = 0; r < dy.count; ++r) {
    const float* const from = dy.row(r);
    float* tile = to + r * kTileRows;
    for (int64_t t = 0; t < whole; ++t, tile += dy.count * kTileRows)
      copy_tile_row(from + t * kTileRows, tile);
    std::copy_n(from + whole * kTileRows, columns - whole * kTileRows, tile);
  }
}

// Where the tiles of dy lie: `tile` floats from one to the next, `row` from a row to the next.
struct DyTiles {
  const float* data;
  int64_t tile;
  int64_t row;
};

struct PackedX {
  const float* panels;
  int64_t rows;
  int64_t inputs;
};

// dw += the products of one block of rows.
void multiply_block(const DyTiles& dy, const PackedX& x, Rows dw, bool from_zero) {
  for (int64_t i = 0; i < x.inputs; i += kPanelWidth) {
    const int64_t width = std::min(kPanelWidth, x.inputs - i);
    for (int64_t o = 0; o < dw.count; o += kTileRows) {
      float* const out = dw.row(o) + i;
      const Tile t{.a = dy.data + o / kTileRows * dy.tile,
                   .a_stride = dy.row,
                   .panel = x.panels + i * x.rows,
                   .panel_stride = 0,
                   .terms = x.rows,
                   .start = from_zero ? nullptr : out,
                   .start_stride = dw.stride,
                   .out = out,
                   .out_stride = dw.stride};
      const int64_t rows = std::min(kTileRows, dw.count - o);
      if (width == kPanelWidth) {
        multiply_rows<true>(rows, t);
      } else {
        multiply_partial<true>(rows, width, t);
      }
    }
  }
}

void multiply_gradient(const GradientOperands& of, Rows dw, bool from_zero) {
  const auto& [dy, x, inputs] = of;
  const int64_t padded = (inputs + kPanelWidth - 1) / kPanelWidth * kPanelWidth;
  thread_local RowBuffer panels(kBlockRows), tiles(kBlockRows);
  panels.reserve(padded);
  tiles.reserve(kBlockOutputs);
  float *const panel_memory = panels.rows(padded).data, *const tile_memory = tiles.rows(kBlockOutputs).data;
  for (int64_t r = 0; r < dy.count; r += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, dy.count - r);
    pack_panels({x.row(r), rows, x.stride}, inputs, panel_memory);
    for (int64_t o = 0; o < dw.count; o += kBlockOutputs) {
      const int64_t outputs = std::min(kBlockOutputs, dw.count - o);
      const ConstRows block(dy.row(r) + o, rows, dy.stride);
      DyTiles at{.data = block.data, .tile = kTileRows, .row = dy.stride};
      if (dy.stride > kNarrow) {
        pack_tiles(block, outputs, tile_memory);
        at = {.data = tile_memory, .tile = kTileRows * rows, .row = kTileRows};
      }
      multiply_block(at, {panel_memory, rows, inputs}, {dw.row(o), outputs, dw.stride}, from_zero && r == 0);
    }
  }
}

}  // namespace megin::matrix::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::matrix {

HWY_EXPORT(multiply_gradient);

void multiply_gradient(const GradientOperands& of, Rows dw, Sum sum) {
  assert(of.dy.count == of.x.count);
  if (of.dy.count == 0 && sum == Sum::kFromZero) {
    for (int64_t o = 0; o < dw.count; ++o) std::fill_n(dw.row(o), of.inputs, 0.0F);
  }
  HWY_DYNAMIC_DISPATCH(multiply_gradient)(of, dw, sum == Sum::kFromZero);
}

}  // namespace megin::matrix
#endif  // HWY_ONCE
