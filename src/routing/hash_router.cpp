#include "routing/hash_router.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/random.h"
#include "config/dispatch.h"
#include "routing/capacity.h"
#include "routing/routed_rows.h"
#include "routing/scores.h"

namespace megin::routing {

HashRouter::HashRouter(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                       const net::ParameterMemory& parameters, const std::string& prefix)
    : experts_(experts), routing_(routing), table_(parameters.get(prefix + "router.table")) {}

Route HashRouter::route(const RouteRequest& request) const {
  constexpr uint64_t kDrops = 5;  // use of routing_key()
  Route route{.kind = Route::Kind::kPerToken};
  const int64_t k = experts_.active;
  route.experts = at::full({request.hidden.size(0), k}, Route::kNoExpert, at::kLong);
  if (k > 1) route.gates = at::full({request.hidden.size(0), k}, 1.0 / static_cast<double>(k), at::kFloat);
  route.statistics.load.assign(static_cast<size_t>(experts_.count), 0);
  const std::vector<int64_t> rows = routed_rows(request);
  for (const int64_t row : rows) {
    const float* const numbers = entry(request, row);
    for (int64_t c = 0; c < k; ++c) {
      const auto expert = static_cast<int64_t>(numbers[c]);
      route.experts.data_ptr<int64_t>()[row * k + c] = expert;
      ++route.statistics.load[static_cast<size_t>(expert)];
    }
  }
  route.statistics.routed = static_cast<int64_t>(rows.size());
  if (request.context.training && routing_.capacity > 0) {
    const int64_t capacity = capacity_of(routing_.capacity, route.statistics.routed, k, experts_.count);
    const auto key = routing_.random_drops ? std::optional(routing_key(request, kDrops)) : std::nullopt;
    route.statistics.dropped = drop_beyond(route.experts, capacity, key);
  }
  return route;
}

const float* HashRouter::entry(const RouteRequest& request, int64_t row) const {
  const bool by_position = experts_.hash == config::HashTable::kPosition;
  const int64_t number = by_position ? row % request.length : request.tokens[static_cast<size_t>(row)];
  return table_.data_ptr<float>() + number * experts_.active;
}

std::vector<int64_t> position_table(config::Stack stack, int64_t positions,
                                    const config::ExpertConfig& experts, uint64_t seed) {
  const uint64_t key = draw_key(seed, Purpose::kRouting, {0x706F /* po */, static_cast<uint64_t>(stack)});
  std::vector<int64_t> table(static_cast<size_t>(positions * experts.active));
  for (int64_t position = 0; position < positions; ++position) {
    const auto at = static_cast<size_t>(position * experts.active);
    config::draw_experts(
        key, static_cast<uint64_t>(position), experts,
        {.experts = std::span(table).subspan(at, static_cast<size_t>(experts.active)), .gates = {}});
  }
  return table;
}

std::vector<int64_t> hash_table(config::HashTable kind, std::span<const int64_t> frequency, int64_t experts,
                                uint64_t seed) {
  const uint64_t key = draw_key(seed, Purpose::kRouting);
  std::vector<int64_t> table(frequency.size());
  for (size_t symbol = 0; symbol < table.size(); ++symbol) {
    table[symbol] = static_cast<int64_t>(draw_index(key, symbol, static_cast<uint64_t>(experts)));
  }
  if (kind == config::HashTable::kRandom) return table;
  std::vector<size_t> order(table.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, std::ranges::greater(), [&](size_t symbol) { return frequency[symbol]; });
  std::vector<int64_t> text(static_cast<size_t>(experts));
  for (const size_t symbol : order) {
    if (frequency[symbol] == 0) break;
    const auto least = std::ranges::min_element(text);
    table[symbol] = least - text.begin();
    *least += frequency[symbol];
  }
  return table;
}

}  // namespace megin::routing
