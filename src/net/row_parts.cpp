#include "net/row_parts.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>

namespace megin::net {

// Few enough that a sum of weight gradients over the parts costs little beside the products of a part, enough
// for the cores of a workstation.
int64_t row_part_count(int64_t rows) {
  constexpr int64_t kMostParts = 8, kFewestRows = 128;
  return std::clamp<int64_t>(rows / kFewestRows, 1, kMostParts);
}

void for_tasks(int64_t count, const std::function<void(int64_t)>& body) {
  std::atomic<int64_t> next = 0;
  at::parallel_for(0, std::min<int64_t>(count, at::get_num_threads()), 1, [&](int64_t, int64_t) {
    const at::NoGradGuard no_gradients;  // a setting of each thread
    for (int64_t task = next++; task < count; task = next++) body(task);
  });
}

void for_row_parts(int64_t rows, const std::function<void(const RowPart&)>& body) {
  const int64_t parts = row_part_count(rows);
  for_tasks(parts, [&](int64_t number) {
    const int64_t first = rows * number / parts, last = rows * (number + 1) / parts;
    body({.first = first, .rows = last - first});
  });
}

at::Tensor sum_of_parts(const at::Tensor& parts) {
  const int64_t count = parts.size(0), size = parts.numel() / count;
  float* const sum = parts.data_ptr<float>();
  constexpr int64_t kBlock = 1 << 12;
  at::parallel_for(0, size, kBlock, [&](int64_t begin, int64_t end) {
    for (int64_t first = begin; first < end; first += kBlock) {
      const int64_t last = std::min(end, first + kBlock);
      for (int64_t part = 1; part < count; ++part) {
        const float* const add = sum + part * size;
        for (int64_t i = first; i < last; ++i) sum[i] += add[i];
      }
    }
  });
  return parts[0];
}

}  // namespace megin::net
