// What a training came to in a few numbers: the first table of `megin report`, and its --json.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "cli/report_groups.h"
#include "report/html_page.h"

namespace megin::cli {

// Of one run. A key is left out where the log has no such number.
nlohmann::ordered_json run_summary(const ReportedRun& run);

// Of runs of several seeds: mean and deviation (n - 1) of each number that all of them have.
nlohmann::ordered_json group_summary(const RunGroup& group);

// One row for each group.
void add_summary_table(report::HtmlPage& page, const std::vector<RunGroup>& groups);

}  // namespace megin::cli
