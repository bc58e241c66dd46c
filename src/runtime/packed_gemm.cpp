#include "runtime/packed_gemm.h"

#include <algorithm>
#include <cassert>
#include <cstring>
#include <utility>

#include "base/highway_targets.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/packed_gemm.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::runtime::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Tag = hn::ScalableTag<float>;
using Vector = hn::Vec<Tag>;

constexpr int64_t kLanes = hn::MaxLanes(Tag());
constexpr int64_t kPanelWidth = 2 * kLanes;
constexpr int64_t kTileRows = 6;       // 12 accumulators: enough to hide the latency of multiply-add
constexpr int64_t kBlockInputs = 256;  // a panel's slice of so many inputs stays in the first-level cache
constexpr int64_t kBlockRows = 192;    // and so many rows of x times that in the second

// One call's operands. x and y point to the block's first row.
struct Block {
  const float* x;
  int64_t x_stride;
  const float* panel;    // first of kPanels panels, at the block's first input
  int64_t panel_stride;  // floats from a panel to the next
  int64_t inputs;
  const float* start;    // accumulators start from here: bias, or y when `resume`; null: zero
  int64_t start_stride;  // 0 for bias
  float* y;
  int64_t y_stride;
};

template <int kRows, int kPanels>
HWY_INLINE void tile(const Block& b) {
  const Tag d;
  Vector sum[kRows][2 * kPanels];
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < 2 * kPanels; ++v) {
      sum[r][v] = b.start ? hn::LoadU(d, b.start + r * b.start_stride + v * kLanes) : hn::Zero(d);
    }
  }
  const float* HWY_RESTRICT x = b.x;
  const float* HWY_RESTRICT panel = b.panel;
  for (int64_t k = 0; k < b.inputs; ++k, panel += kPanelWidth) {
    for (int p = 0; p < kPanels; ++p) {
      const Vector w0 = hn::Load(d, panel + p * b.panel_stride);
      const Vector w1 = hn::Load(d, panel + p * b.panel_stride + kLanes);
      for (int r = 0; r < kRows; ++r) {
        const Vector xr = hn::Set(d, x[r * b.x_stride + k]);
        sum[r][2 * p] = hn::MulAdd(xr, w0, sum[r][2 * p]);
        sum[r][2 * p + 1] = hn::MulAdd(xr, w1, sum[r][2 * p + 1]);
      }
    }
  }
  for (int r = 0; r < kRows; ++r) {
    for (int v = 0; v < 2 * kPanels; ++v) hn::StoreU(sum[r][v], d, b.y + r * b.y_stride + v * kLanes);
  }
}

template <int kPanels>
HWY_INLINE void tile_rows(int64_t rows, const Block& b) {
  if constexpr (kPanels == 4) {
    tile<1, 4>(b);
  } else if constexpr (kPanels == 2) {
    tile<2, 2>(b);
  } else {
    switch (rows) {
      case 1:
        return tile<1, 1>(b);
      case 2:
        return tile<2, 1>(b);
      case 3:
        return tile<3, 1>(b);
      case 4:
        return tile<4, 1>(b);
      case 5:
        return tile<5, 1>(b);
      default:
        return tile<6, 1>(b);
    }
  }
}

// A panel that reaches beyond the last output: through a buffer of full width.
void tile_rows_partial(int64_t rows, int64_t width, Block b) {
  HWY_ALIGN float buffer[kTileRows * kPanelWidth] = {};
  HWY_ALIGN float bias[kPanelWidth] = {};
  float* y = b.y;
  if (b.start && b.start_stride == 0) {
    std::copy_n(b.start, width, bias);
    b.start = bias;
  } else if (b.start) {
    for (int64_t r = 0; r < rows; ++r) {
      std::copy_n(b.start + r * b.start_stride, width, buffer + r * kPanelWidth);
    }
    b.start = buffer;
    b.start_stride = kPanelWidth;
  }
  b.y = buffer;
  const int64_t stride = std::exchange(b.y_stride, kPanelWidth);
  tile_rows<1>(rows, b);
  for (int64_t r = 0; r < rows; ++r) std::copy_n(buffer + r * kPanelWidth, width, y + r * stride);
}

// Rows [0, rows) of x times inputs [first, first + count) of all panels.
void multiply_block(const PackedMatrix& weight, const float* bias, ConstRows x, Rows y, int64_t first,
                    int64_t count) {
  const int64_t outputs = weight.outputs();
  const int64_t tiles = (x.count + kTileRows - 1) / kTileRows;
  const int64_t tile_size = (x.count + tiles - 1) / tiles;       // 8 rows: 4 and 4, not 6 and 2
  const int64_t wide = x.count == 1 ? 4 : x.count == 2 ? 2 : 1;  // few rows: more panels, for latency again
  const int64_t panel_stride = weight.inputs() * kPanelWidth;
  int64_t step = wide;
  for (int64_t o = 0; o < outputs; o += step * kPanelWidth) {
    const int64_t width = outputs - o;
    step = width >= wide * kPanelWidth ? wide : 1;
    for (int64_t r = 0; r < x.count; r += tile_size) {
      const bool resume = first > 0;
      const Block b{.x = x.row(r) + first,
                    .x_stride = x.stride,
                    .panel = weight.panel(o / kPanelWidth) + first * kPanelWidth,
                    .panel_stride = panel_stride,
                    .inputs = count,
                    .start = resume ? y.row(r) + o
                             : bias ? bias + o
                                    : nullptr,
                    .start_stride = resume ? y.stride : 0,
                    .y = y.row(r) + o,
                    .y_stride = y.stride};
      const int64_t rows = std::min(tile_size, x.count - r);
      if (step == 4) {
        tile_rows<4>(rows, b);
      } else if (step == 2) {
        tile_rows<2>(rows, b);
      } else if (width >= kPanelWidth) {
        tile_rows<1>(rows, b);
      } else {
        tile_rows_partial(rows, width, b);
      }
    }
  }
}

void multiply(const PackedMatrix& weight, const float* bias, ConstRows x, Rows y) {
  assert(weight.panel_width() == kPanelWidth);
  const int64_t inputs = weight.inputs();
  const int64_t block_inputs = x.count <= kTileRows ? inputs : kBlockInputs;
  for (int64_t r = 0; r < x.count; r += kBlockRows) {
    const int64_t rows = std::min(kBlockRows, x.count - r);
    for (int64_t k = 0; k < inputs; k += block_inputs) {
      multiply_block(weight, bias, {x.row(r), rows, x.stride}, {y.row(r), rows, y.stride}, k,
                     std::min(block_inputs, inputs - k));
    }
  }
}

int64_t panel_width() {
  return kPanelWidth;
}

}  // namespace megin::runtime::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::runtime {

HWY_EXPORT(multiply);
HWY_EXPORT(panel_width);

PackedMatrix::PackedMatrix(std::span<const float> weight, int64_t outputs, int64_t inputs)
    : outputs_(outputs), inputs_(inputs), panel_width_(HWY_DYNAMIC_DISPATCH(panel_width)()) {
  assert(static_cast<int64_t>(weight.size()) == outputs * inputs);
  const int64_t panels = (outputs + panel_width_ - 1) / panel_width_;
  data_ = hwy::AllocateAligned<float>(panels * inputs * panel_width_);
  for (int64_t p = 0; p < panels; ++p) {
    float* to = data_.get() + p * inputs * panel_width_;
    for (int64_t lane = 0; lane < panel_width_; ++lane) {
      const int64_t o = p * panel_width_ + lane;
      for (int64_t k = 0; k < inputs; ++k) {
        to[k * panel_width_ + lane] = o < outputs ? weight[o * inputs + k] : 0.0F;
      }
    }
  }
}

void multiply(const PackedMatrix& weight, std::span<const float> bias, ConstRows x, Rows y) {
  assert(x.count == y.count);
  assert(bias.empty() || static_cast<int64_t>(bias.size()) == weight.outputs());
  HWY_DYNAMIC_DISPATCH(multiply)(weight, bias.empty() ? nullptr : bias.data(), x, y);
}

}  // namespace megin::runtime
#endif  // HWY_ONCE
