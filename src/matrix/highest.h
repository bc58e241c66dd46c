// The largest values of a row: how a router chooses experts.
#pragma once

#include <cstdint>
#include <span>

namespace megin::matrix {

// Puts the indices of the chosen.size() largest values into `chosen`, largest first; of equal ones the lower
// index comes first. Not more than values.size(). A NaN is smaller than everything.
void choose_highest(std::span<const float> values, std::span<int64_t> chosen);

}  // namespace megin::matrix
