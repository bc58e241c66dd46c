#include "routing/hash_router.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

#include "base/random.h"
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
  route.experts = at::full({request.hidden.size(0), 1}, Route::kNoExpert, at::kLong);
  route.statistics.load.assign(static_cast<size_t>(experts_.count), 0);
  const float* const table = table_.data_ptr<float>();
  const std::vector<int64_t> rows = routed_rows(request);
  for (const int64_t row : rows) {
    const auto expert = static_cast<int64_t>(table[request.tokens[static_cast<size_t>(row)]]);
    route.experts.data_ptr<int64_t>()[row] = expert;
    ++route.statistics.load[static_cast<size_t>(expert)];
  }
  route.statistics.routed = static_cast<int64_t>(rows.size());
  if (request.context.training && routing_.capacity > 0) {
    const int64_t capacity = capacity_of(routing_.capacity, route.statistics.routed, 1, experts_.count);
    const auto key = routing_.random_drops ? std::optional(routing_key(request, kDrops)) : std::nullopt;
    route.statistics.dropped = drop_beyond(route.experts, capacity, key);
  }
  return route;
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
