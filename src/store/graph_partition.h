// A graph cut into parts of equal size so that little weight is cut, deterministically.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::store {

// Nodes of each part, ascending, and the parts by their first node. weights: [nodes, nodes], symmetric, 0 on
// the diagonal; parts divides nodes. Parts are grown one after the other, from the free node with the most
// weight to other free ones, by the node with the most weight to the part; then pairs of nodes of different
// parts are swapped as long as a swap cuts less (after Kernighan and Lin 1970, but no swap is taken that cuts
// more at first). Of equal ones the lowest number. The least cut is not promised: finding it is NP-hard.
// Work: nodes^2 for each of at most 50 rounds; memory: 8 bytes for each node and part.
std::vector<std::vector<int64_t>> balanced_partition(std::span<const uint32_t> weights, int64_t nodes,
                                                     int64_t parts);

}  // namespace megin::store
