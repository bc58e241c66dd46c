// Routing fluctuation (Dai et al. 2022, sections 1 and 4.4.4): until when in a training the expert of a token
// goes on changing.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace megin::metric {

// routes: one row for each snapshot in the order of time, [tokens]: the expert of each token. Returns for
// each token the index of the last snapshot whose expert differs from that of the final one; -1 where none
// does.
std::vector<int64_t> last_fluctuations(std::span<const std::vector<uint16_t>> routes);

// The share of tokens whose last fluctuation lies beyond `share` of the training. updates: [snapshots],
// ascending; the last one is the end of the training. fluctuations: as last_fluctuations() gives them.
double share_fluctuating_beyond(std::span<const int64_t> fluctuations, std::span<const int64_t> updates,
                                double share);

}  // namespace megin::metric
