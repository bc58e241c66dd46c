// The product of two rows of plain memory.
#pragma once

#include <cstdint>

namespace megin::net {

// sum_i a[i] b[i], in an order that the size alone decides.
float dot(const float* a, const float* b, int64_t size);

}  // namespace megin::net
