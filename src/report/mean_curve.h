// One curve for several runs.
#pragma once

#include <vector>

#include "report/run_log.h"

namespace megin::report {

// runs: one curve for each. At each update at which every run has a point, the mean of these points: of their
// numbers, and of where they lie, since what training has cost by then differs a little between runs. The
// curve of a single run is drawn as it is.
std::vector<Point> mean_curve(const std::vector<std::vector<LogPoint>>& runs);

}  // namespace megin::report
