// What experts did in the runs of `megin report`: loads, curves of each expert layer, routing fluctuation.
#pragma once

#include <optional>
#include <vector>

#include "cli/report_curves.h"
#include "cli/report_groups.h"
#include "report/html_page.h"

namespace megin::cli {

// One line for each group all of whose runs have routing snapshots (cli/run_fluctuation.h): that of the
// tokens of all expert layers together. Nothing where no group has.
std::optional<Picture> fluctuation_picture(const std::vector<RunGroup>& groups);

// A heading, the loads of the last interval and curves; nothing for runs that routed nothing. Lines of a
// layer are means over the runs; lines of single experts are those of the first run, since expert 0 of
// another seed is another one.
std::vector<Picture> add_routing(report::HtmlPage& page, const RunGroup& group);

}  // namespace megin::cli
