#include "cli/report_settings.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace megin::cli {
namespace {

// Of all runs of a group; where they differ, which only seeds do, each once.
std::string settings_of(const RunGroup& group, const std::string& key) {
  std::vector<std::string> values;
  for (const ReportedRun* run : group.runs) {
    const std::string value = setting_of(*run, key);
    if (std::ranges::find(values, value) == values.end()) values.push_back(value);
  }
  return fmt::format("{}", fmt::join(values, ", "));
}

}  // namespace

void add_settings(report::HtmlPage& page, const std::vector<ReportedRun>& runs,
                  const std::vector<RunGroup>& groups) {
  page.heading("Settings");
  const auto keys = differing_keys(runs);
  if (runs.size() > 1 && keys.empty()) page.paragraph("The runs have the same settings.");
  if (!keys.empty()) {
    std::vector<report::Column> columns = {{"key"}};
    for (const RunGroup& group : groups) columns.push_back({group.name});
    std::vector<std::vector<std::string>> rows;
    for (const std::string& key : keys) {
      std::vector<std::string>& row = rows.emplace_back();
      row.push_back(key);
      for (const RunGroup& group : groups) row.push_back(settings_of(group, key));
    }
    page.paragraph("Where the runs differ:");
    page.table(columns, rows);
  }
  for (const RunGroup& group : groups) {
    const ReportedRun& first = *group.runs.front();
    if (!first.config.empty()) page.folded(fmt::format("All settings of {}", first.name), first.config);
  }
}

}  // namespace megin::cli
