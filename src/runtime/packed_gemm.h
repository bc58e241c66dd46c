// Matrix product with weights that are packed once: the linear layer of inference.
//
// Guarantee that everything above builds on: an output element is bias, then one multiply-add per input in
// ascending order, in one fp32 accumulator. So a row's result is the same bits whatever the number of rows,
// the row's place among them, and the thread; it differs only between instruction sets (with and without
// FMA). Layout and loop order follow Goto and van de Geijn 2008, without the copy of x.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstdint>
#include <span>

#include "runtime/rows.h"

namespace megin::runtime {

// A weight [outputs, inputs] laid out as panels [ceil(outputs / w)][inputs][w], w = two vectors of this
// machine; the last panel is filled up with zeros. Const after construction and safe to share between
// threads.
class PackedMatrix {
 public:
  PackedMatrix() = default;
  // Copies `weight`, row-major [outputs, inputs].
  PackedMatrix(std::span<const float> weight, int64_t outputs, int64_t inputs);

  int64_t outputs() const { return outputs_; }
  int64_t inputs() const { return inputs_; }
  int64_t panel_width() const { return panel_width_; }
  const float* panel(int64_t p) const { return data_.get() + p * inputs_ * panel_width_; }

 private:
  int64_t outputs_ = 0;
  int64_t inputs_ = 0;
  int64_t panel_width_ = 0;
  hwy::AlignedFreeUniquePtr<float[]> data_;
};

// y[r, o] = bias[o] + sum over i of x[r, i] * weight[o, i].
// x: [rows, inputs]; y: [rows, outputs], must not overlap x; bias: [outputs], or empty for none.
void multiply(const PackedMatrix& weight, std::span<const float> bias, ConstRows x, Rows y);

}  // namespace megin::runtime
