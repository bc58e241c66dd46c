// Runs that differ in nothing but their seed: one line in the charts of `megin report`, one row in its table.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "cli/report_runs.h"
#include "report/line_chart.h"
#include "report/run_log.h"

namespace megin::cli {

struct RunGroup {
  std::string name;  // that of a single run; of several what their names share before -SEED, else the first's
  std::vector<const ReportedRun*> runs;  // at least one, each of another seed
  int look = 0;                          // of its line in every chart

  bool of_seeds() const { return runs.size() > 1; }
};

inline constexpr size_t kMostGroups = report::kMostSeries;

// In the order of their first runs. A run belongs to a group when its settings are those of the group's runs
// but for train.run and train.seed, and its seed is a new one there. One without config.yaml stands alone.
// The groups refer to the runs. Throws UsageError for more groups than curves can tell apart.
std::vector<RunGroup> group_runs(const std::vector<ReportedRun>& runs);

// A number of the logs over an axis (report::log_axis).
struct LogNumber {
  std::string_view event;
  std::string_view key;
  std::string_view axis = "updates";
  report::RunLog::Accept accept = {};  // the lines that count; none: all
};

// Of several runs their mean (report/mean_curve.h).
std::vector<report::Point> group_curve(const RunGroup& group, const LogNumber& number);

}  // namespace megin::cli
