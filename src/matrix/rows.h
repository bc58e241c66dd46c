// Views of rows of floats, and memory for them: what the kernels of this folder work on.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstdint>

namespace megin::matrix {

// `count` rows, `stride` floats apart; the memory is the caller's.
struct Rows {
  float* data = nullptr;
  int64_t count = 0;
  int64_t stride = 0;

  float* row(int64_t i) const { return data + i * stride; }
};

struct ConstRows {
  const float* data = nullptr;
  int64_t count = 0;
  int64_t stride = 0;

  ConstRows(const float* d, int64_t n, int64_t s) : data(d), count(n), stride(s) {}
  ConstRows(const Rows& rows) : data(rows.data), count(rows.count), stride(rows.stride) {}
  const float* row(int64_t i) const { return data + i * stride; }
};

// Memory for a number of rows of one width; grows, never shrinks. Contents are lost when it grows.
class RowBuffer {
 public:
  RowBuffer() = default;
  explicit RowBuffer(int64_t width) : width_(width) {}

  // Room for `rows` rows; allocates only when there is less than that.
  void reserve(int64_t rows) {
    if (rows <= capacity_) return;
    data_ = hwy::AllocateAligned<float>(static_cast<size_t>(rows * width_));
    capacity_ = rows;
  }
  Rows rows(int64_t count) const { return {data_.get(), count, width_}; }

 private:
  int64_t width_ = 0;
  int64_t capacity_ = 0;
  hwy::AlignedFreeUniquePtr<float[]> data_;
};

}  // namespace megin::matrix
