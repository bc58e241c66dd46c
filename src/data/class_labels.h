// The classes of sentences with labels (data.task classification): what their labels are, and in which order.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "data/pair_spool.h"

namespace megin::data {

// The labels of these pairs of a sentence and its label, each once, ordered by their bytes: class c is number
// c. Throws Error when there are fewer than two, or more than anyone's classes are.
std::vector<std::string> find_classes(const PairSpool& train);

// The number of a label, whose white space does not count at the ends. Throws Error naming `where` for one
// that is no class.
int32_t class_of(std::string_view label, const std::vector<std::string>& classes, std::string_view where);

}  // namespace megin::data
