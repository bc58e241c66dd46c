// The curves of `megin report` that compare runs, and what a picture of it is.
#pragma once

#include <string>
#include <vector>

#include "cli/report_groups.h"
#include "report/html_page.h"

namespace megin::cli {

// A chart, and the name of its file with --svg.
struct Picture {
  std::string name, svg;
};

// A name without what would be a folder in it.
std::string file_name(std::string name);

void add_charts(report::HtmlPage& page, const std::vector<Picture>& pictures);

// Validation by updates and by cost, and what training logs, with one line for each group that has the
// number.
std::vector<Picture> comparison_curves(const std::vector<RunGroup>& groups);

}  // namespace megin::cli
