// The settings of the runs of `megin report`: where they differ, and all of them.
#pragma once

#include <vector>

#include "cli/report_groups.h"
#include "cli/report_runs.h"
#include "report/html_page.h"

namespace megin::cli {

// A column for each group; the seeds of a group stand in one cell.
void add_settings(report::HtmlPage& page, const std::vector<ReportedRun>& runs,
                  const std::vector<RunGroup>& groups);

}  // namespace megin::cli
