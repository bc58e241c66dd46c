#include "matrix/packed_product.h"

#include <algorithm>
#include <cassert>

#include "base/highway_targets.h"

// The order matters: foreach_target.h compiles what follows it once for each instruction set.
// clang-format off
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "matrix/packed_product.cpp"
#include <hwy/foreach_target.h>
#include <hwy/highway.h>
#include "matrix/tile-inl.h"
// clang-format on

HWY_BEFORE_NAMESPACE();
namespace megin::matrix::HWY_NAMESPACE {

constexpr int64_t kBlockInputs = 256;  // a panel's slice of so many inputs stays in the first-level cache
constexpr int64_t kBlockFloats = 192 * kBlockInputs;  // of x, beside it in the second
// Rows of x a power of two apart share the lines of a cache: copied so far apart, they do not.
constexpr int64_t kCopyStride = kBlockInputs + 16;

// Adds x, whose columns are inputs [first, first + count), times those inputs of all panels.
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
      const Tile t{.a = x.row(r),
                   .a_stride = x.stride,
                   .panel = weight.panel(o / kPanelWidth) + first * kPanelWidth,
                   .panel_stride = panel_stride,
                   .terms = count,
                   .start = resume ? y.row(r) + o
                            : bias ? bias + o
                                   : nullptr,
                   .start_stride = resume ? y.stride : 0,
                   .out = y.row(r) + o,
                   .out_stride = y.stride};
      const int64_t rows = std::min(tile_size, x.count - r);
      if (step == 4) {
        multiply_tile<1, 4, false>(t);
      } else if (step == 2) {
        multiply_tile<2, 2, false>(t);
      } else if (width >= kPanelWidth) {
        multiply_rows<false>(rows, t);
      } else {
        multiply_partial<false>(rows, width, t);
      }
    }
  }
}

void multiply(const PackedMatrix& weight, const float* bias, ConstRows x, Rows y) {
  assert(weight.panel_width() == kPanelWidth);
  const int64_t inputs = weight.inputs();
  const int64_t block_inputs = x.count <= kTileRows ? inputs : kBlockInputs;
  const int64_t block_rows = kBlockFloats / std::clamp<int64_t>(inputs, 1, kBlockInputs);
  const bool copies = x.count > kTileRows && x.stride > kBlockInputs;
  thread_local RowBuffer buffer(kCopyStride);
  if (copies) buffer.reserve(std::min(x.count, block_rows));
  for (int64_t r = 0; r < x.count; r += block_rows) {
    const int64_t rows = std::min(block_rows, x.count - r);
    for (int64_t k = 0; k < inputs; k += block_inputs) {
      const int64_t count = std::min(block_inputs, inputs - k);
      ConstRows block(x.row(r) + k, rows, x.stride);
      if (copies) {
        const Rows copied = buffer.rows(rows);
        for (int64_t i = 0; i < rows; ++i) std::copy_n(block.row(i), count, copied.row(i));
        block = copied;
      }
      multiply_block(weight, bias, block, {y.row(r), rows, y.stride}, k, count);
    }
  }
}

int64_t panel_width() {
  return kPanelWidth;
}

}  // namespace megin::matrix::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace megin::matrix {

HWY_EXPORT(multiply);
HWY_EXPORT(panel_width);

PackedMatrix::PackedMatrix(int64_t outputs, int64_t inputs)
    : outputs_(outputs), inputs_(inputs), panel_width_(HWY_DYNAMIC_DISPATCH(panel_width)()) {
  data_ = hwy::AllocateAligned<float>(static_cast<size_t>(panels() * inputs * panel_width_));
}

PackedMatrix::PackedMatrix(std::span<const float> weight, int64_t outputs, int64_t inputs)
    : PackedMatrix(outputs, inputs) {
  assert(static_cast<int64_t>(weight.size()) == outputs * inputs);
  pack_panels(weight.data(), Layout::kOutputsByInputs, 0, panels());
}

void PackedMatrix::pack_panels(const float* weight, Layout layout, int64_t first, int64_t last) {
  constexpr int64_t kBlock = 16;  // inputs whose place in a panel is in the first-level cache
  for (int64_t p = first; p < last; ++p) {
    float* const to = data_.get() + p * inputs_ * panel_width_;
    const int64_t output = p * panel_width_, width = std::min(panel_width_, outputs_ - output);
    if (width < panel_width_) std::fill_n(to, inputs_ * panel_width_, 0.0F);
    if (layout == Layout::kInputsByOutputs) {
      for (int64_t k = 0; k < inputs_; ++k)
        std::copy_n(weight + k * outputs_ + output, width, to + k * panel_width_);
      continue;
    }
    for (int64_t begin = 0; begin < inputs_; begin += kBlock) {
      const int64_t end = std::min(inputs_, begin + kBlock);
      for (int64_t lane = 0; lane < width; ++lane) {
        const float* const from = weight + (output + lane) * inputs_;
        for (int64_t k = begin; k < end; ++k) to[k * panel_width_ + lane] = from[k];
      }
    }
  }
}

void multiply(const PackedMatrix& weight, std::span<const float> bias, ConstRows x, Rows y) {
  assert(x.count == y.count);
  assert(bias.empty() || static_cast<int64_t>(bias.size()) == weight.outputs());
  HWY_DYNAMIC_DISPATCH(multiply)(weight, bias.empty() ? nullptr : bias.data(), x, y);
}

}  // namespace megin::matrix
#endif  // HWY_ONCE
