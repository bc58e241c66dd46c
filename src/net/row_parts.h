// Work on the rows of a batch, cut into parts that depend on the number of rows only: what each part
// computes, and so every sum over parts in order, is the same at any thread count. Where the matrix
// library multiplies inside a part, it must have one thread of its own (train/library_threads.h), else both
// fight for the cores.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace megin::net {

struct RowPart {
  int64_t first = 0;  // row
  int64_t rows = 0;
};

int64_t row_part_count(int64_t rows);

// Calls body(task) for each task of [0, count), over all threads, each of which takes the next one when it is
// done: a core that is slow for a while takes fewer. Without recording gradients. Nothing a body computes may
// depend on the thread.
void for_tasks(int64_t count, const std::function<void(int64_t)>& body);

// Calls body(part) for each part of [0, rows), as tasks.
void for_row_parts(int64_t rows, const std::function<void(const RowPart&)>& body);

// parts: [parts, ...], fp32, contiguous. Returns the sum over the parts in their order, [...], in the memory
// of the first one.
at::Tensor sum_of_parts(const at::Tensor& parts);

}  // namespace megin::net
