// Until when a run's router moved tokens between experts (metric/routing_fluctuation.h), from the routes that
// its validations wrote: what `megin analyze fluctuation` and `megin report` show.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "report/line_chart.h"
#include "report/run_log.h"

namespace megin::cli {

// Of one expert layer, or of the tokens of all layers together.
struct LayerFluctuation {
  std::string layer;          // "encoder 0", or "all layers"
  std::vector<int64_t> last;  // of each token, as metric::last_fluctuations() gives it
};

struct RunFluctuation {
  std::vector<int64_t> updates;  // of the snapshots, ascending; two or more
  // At least one. After several layers stands one of all of them together, so that the last is the whole run.
  std::vector<LayerFluctuation> layers;
};

// Whether a run has the routes of two validations or more.
bool has_fluctuation(const std::filesystem::path& run);

// Throws Error where it has not, or where a file of them is damaged.
RunFluctuation read_fluctuation(const std::filesystem::path& run);

// At each snapshot the share of tokens, in %, whose last fluctuation lies beyond it, over the share of the
// training, in %.
std::vector<report::LogPoint> fluctuation_curve(const RunFluctuation& run, const LayerFluctuation& layer);

// The same at every hundredth of the training, so that runs of different lengths can be averaged (`update` is
// the hundredth).
std::vector<report::LogPoint> fluctuation_by_hundredths(const RunFluctuation& run,
                                                        const LayerFluctuation& layer);

// The chart that such curves belong into, still without any.
report::LineChart fluctuation_chart();

}  // namespace megin::cli
