// Hash layers (Roller et al. 2021): a symbol always meets the same expert, which a table says. Nothing is
// learned, there is no gate. By position it is the place of a token in its sentence or block that a table
// gives k experts, each with weight 1 / k (Chen et al. 2023's code, CustomHashGate, where it is the place in
// the batch).
#pragma once

#include <span>
#include <vector>

#include "routing/router.h"

namespace megin::routing {

class HashRouter : public Router {
 public:
  // prefix + "router.table" [symbols]: the expert of each symbol of the stack's vocabulary, as a number; by
  // position [max_length, k].
  HashRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
             const net::ParameterMemory& parameters, const std::string& prefix);

  Route route(const RouteRequest& request) const override;

 private:
  // The experts of a row, k numbers.
  const float* entry(const RouteRequest& request, int64_t row) const;

  const config::ExpertConfig& experts_;
  const config::RoutingConfig& routing_;
  at::Tensor table_;
};

// The table of a vocabulary. frequency: [symbols], how often each stands in the training text. balanced:
// symbols from the most frequent on (then by number), each to the expert with the least text so far (then the
// lowest); symbols that never occur, and all symbols of random, are drawn by hash.
std::vector<int64_t> hash_table(config::HashTable kind, std::span<const int64_t> frequency, int64_t experts,
                                uint64_t seed);

// The table of a stack by position: [positions, k], k different experts in each row, by hash.
std::vector<int64_t> position_table(config::Stack stack, int64_t positions,
                                    const config::ExpertConfig& experts, uint64_t seed);

}  // namespace megin::routing
