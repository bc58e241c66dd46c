// Matrix product with weights that are packed once: the linear layer, y = x W^T + b, and with the other
// layout the gradient of its input, dx = dy W.
//
// Guarantee that everything above builds on: an output element is bias, then one multiply-add per input in
// ascending order, in one fp32 accumulator. So a row's result is the same bits whatever the number of rows,
// the row's place among them, and the thread; it differs only between instruction sets (with and without
// FMA). Layout and loop order follow Goto and van de Geijn 2008; x is copied only where its rows lie so that
// they would fight for the same lines of the cache.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstdint>
#include <span>

#include "matrix/rows.h"

namespace megin::matrix {

// How the values that are packed lie in memory, row-major.
enum class Layout {
  kOutputsByInputs,  // [outputs, inputs]: a weight as it is stored, for y = x W^T
  kInputsByOutputs,  // [inputs, outputs]: the same memory read the other way, for dx = dy W
};

// A weight laid out as panels [ceil(outputs / w)][inputs][w], w = two vectors of this machine; the last panel
// is filled up with zeros. Const after packing and then safe to share between threads.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // Room for the panels, to be filled by pack_panels().
  PackedMatrix(int64_t outputs, int64_t inputs);
  // Copies `weight`, row-major [outputs, inputs].
  PackedMatrix(std::span<const float> weight, int64_t outputs, int64_t inputs);

  // Copies what panels [first, last) hold. Threads may pack different panels at the same time.
  void pack_panels(const float* weight, Layout layout, int64_t first, int64_t last);

  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  int64_t panel_width() const { return panel_width_; }
  int64_t panels() const { return (outputs_ + panel_width_ - 1) / panel_width_; }
  const float* panel(int64_t p) const { return data_.get() + p * inputs_ * panel_width_; }

 private:
  int64_t outputs_ = 0;
  int64_t inputs_ = 0;
  int64_t panel_width_ = 1;
  hwy::AlignedFreeUniquePtr<float[]> data_;
};

// y[r, o] = bias[o] + sum over i of x[r, i] * weight[o, i].
// x: [rows, inputs]; y: [rows, outputs], must not overlap x; bias: [outputs], or empty for none.
void multiply(const PackedMatrix& weight, std::span<const float> bias, ConstRows x, Rows y);

}  // namespace megin::matrix
