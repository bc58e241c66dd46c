// Which expert each token of the validation set met at one moment of a training: what routing fluctuation
// (Dai et al. 2022, section 4.4.4) is measured from. One small file for each validation,
// RUN/routing/update-N.routes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace megin::store {

inline constexpr const char* kRoutingFolder = "routing";  // of a run

struct RoutingSnapshot {
  struct Layer {
    std::string name;               // "encoder 0"
    std::vector<uint16_t> experts;  // the first choice of each token, in the order of the validation set
  };
  int64_t update = 0;
  std::vector<Layer> layers;
};

// A line of JSON ({"update":N,"layers":[{"name":..,"tokens":..},..]}), then the experts of each layer, 2
// bytes each, little-endian. The file appears whole or not at all. Throws Error when it cannot be written.
void write_routing_snapshot(const std::filesystem::path& run, const RoutingSnapshot& snapshot);

// All of a run, by update. Throws Error naming the file that is damaged, or when there is none, or when they
// are not of one validation set.
std::vector<RoutingSnapshot> read_routing_snapshots(const std::filesystem::path& run);

}  // namespace megin::store
