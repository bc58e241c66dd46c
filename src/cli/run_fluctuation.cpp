#include "cli/run_fluctuation.h"

#include "base/error.h"
#include "metric/routing_fluctuation.h"
#include "store/routing_snapshot.h"

namespace megin::cli {
namespace {

namespace fs = std::filesystem;

std::vector<LayerFluctuation> layers_of(const std::vector<store::RoutingSnapshot>& snapshots) {
  std::vector<LayerFluctuation> layers;
  LayerFluctuation together{.layer = "all layers", .last = {}};
  for (size_t layer = 0; layer < snapshots.front().layers.size(); ++layer) {
    std::vector<std::vector<uint16_t>> routes;
    for (const auto& snapshot : snapshots) routes.push_back(snapshot.layers[layer].experts);
    layers.push_back({snapshots.front().layers[layer].name, metric::last_fluctuations(routes)});
    together.last.insert(together.last.end(), layers.back().last.begin(), layers.back().last.end());
  }
  if (layers.size() > 1) layers.push_back(std::move(together));
  return layers;
}

}  // namespace

bool has_fluctuation(const fs::path& run) {
  const fs::path folder = run / "routing";
  if (!fs::is_directory(folder)) return false;
  int snapshots = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() == ".routes") ++snapshots;
  }
  return snapshots > 1;
}

RunFluctuation read_fluctuation(const fs::path& run) {
  const auto snapshots = store::read_routing_snapshots(run);
  if (snapshots.size() < 2) {
    fail("{}: wanted two validations or more to see what changed between them, found one", run.string());
  }
  RunFluctuation found{.updates = {}, .layers = layers_of(snapshots)};
  if (found.layers.empty()) fail("{}: wanted routes of an expert layer, found none", run.string());
  for (const auto& snapshot : snapshots) found.updates.push_back(snapshot.update);
  return found;
}

std::vector<report::LogPoint> fluctuation_curve(const RunFluctuation& run, const LayerFluctuation& layer) {
  std::vector<report::LogPoint> curve;
  const auto last = static_cast<double>(run.updates.back());
  for (const int64_t update : run.updates) {
    const double share = static_cast<double>(update) / last;
    const double beyond = metric::share_fluctuating_beyond(layer.last, run.updates, share);
    curve.push_back({.update = update, .point = {100 * share, 100 * beyond}});
  }
  return curve;
}

std::vector<report::LogPoint> fluctuation_by_hundredths(const RunFluctuation& run,
                                                        const LayerFluctuation& layer) {
  std::vector<report::LogPoint> curve;
  for (int64_t hundredth = 1; hundredth <= 100; ++hundredth) {
    const auto percent = static_cast<double>(hundredth);
    const double beyond = metric::share_fluctuating_beyond(layer.last, run.updates, percent / 100);
    curve.push_back({.update = hundredth, .point = {percent, 100 * beyond}});
  }
  return curve;
}

report::LineChart fluctuation_chart() {
  return {.title = "Routing fluctuation",
          .subtitle = "tokens whose expert still differs from its last one later than this",
          .x_label = "share of the training, %",
          .y_label = "tokens, %",
          .series = {}};
}

}  // namespace megin::cli
