#include "store/routing_snapshot.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"

namespace megin::store {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuffix = ".routes";

RoutingSnapshot read_snapshot(const fs::path& file) {
  const std::string bytes = read_file(file);
  const size_t end = bytes.find('\n');
  const auto header = nlohmann::json::parse(bytes.substr(0, end), nullptr, false);
  RoutingSnapshot snapshot;
  size_t at = end + 1;
  try {
    header.at("update").get_to(snapshot.update);
    for (const auto& layer : header.at("layers")) {
      const auto tokens = layer.at("tokens").get<size_t>();
      if (end == std::string::npos || tokens > (bytes.size() - at) / 2) fail("too short");
      auto& of = snapshot.layers.emplace_back();
      layer.at("name").get_to(of.name);
      for (size_t t = 0; t < tokens; ++t, at += 2) {
        of.experts.push_back(static_cast<uint16_t>(static_cast<uint8_t>(bytes[at]) |
                                                   static_cast<uint8_t>(bytes[at + 1]) << 8));
      }
    }
    if (at != bytes.size()) fail("too long");
  } catch (const std::exception& error) {
    fail("{}: this record of a validation's routes is damaged ({}); remove it", file.string(), error.what());
  }
  return snapshot;
}

bool same_tokens(const RoutingSnapshot& a, const RoutingSnapshot& b) {
  return std::ranges::equal(a.layers, b.layers, [](const auto& x, const auto& y) {
    return x.name == y.name && x.experts.size() == y.experts.size();
  });
}

}  // namespace

void write_routing_snapshot(const fs::path& run, const RoutingSnapshot& snapshot) {
  nlohmann::ordered_json header = {{"update", snapshot.update}, {"layers", nlohmann::ordered_json::array()}};
  std::string bytes;
  for (const auto& layer : snapshot.layers) {
    header["layers"].push_back({{"name", layer.name}, {"tokens", layer.experts.size()}});
    for (const uint16_t expert : layer.experts) {
      bytes += static_cast<char>(expert & 0xff);
      bytes += static_cast<char>(expert >> 8);
    }
  }
  fs::create_directories(run / kRoutingFolder);
  write_file_atomically(run / kRoutingFolder / fmt::format("update-{}{}", snapshot.update, kSuffix),
                        header.dump() + "\n" + bytes);
}

std::vector<RoutingSnapshot> read_routing_snapshots(const fs::path& run) {
  std::vector<RoutingSnapshot> snapshots;
  if (fs::is_directory(run / kRoutingFolder)) {
    for (const auto& entry : fs::directory_iterator(run / kRoutingFolder)) {
      if (entry.path().extension() == kSuffix) snapshots.push_back(read_snapshot(entry.path()));
    }
  }
  if (snapshots.empty()) {
    fail(
        "{}: wanted a run whose experts are chosen by a router, found no routes of its validations "
        "(routing/)",
        run.string());
  }
  std::ranges::sort(snapshots, {}, &RoutingSnapshot::update);
  for (const RoutingSnapshot& snapshot : snapshots) {
    if (!same_tokens(snapshot, snapshots.front())) {
      fail("{}: the routes of updates {} and {} are not of one validation set and model", run.string(),
           snapshots.front().update, snapshot.update);
    }
  }
  return snapshots;
}

}  // namespace megin::store
