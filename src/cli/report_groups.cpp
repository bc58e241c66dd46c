#include "cli/report_groups.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "report/mean_curve.h"

namespace megin::cli {
namespace {

constexpr const char* kSeed = "train.seed";

std::map<std::string, std::string> settings_without_seed(const ReportedRun& run) {
  std::map<std::string, std::string> settings = run.settings;
  settings.erase(kSeed);
  settings.erase("train.run");
  return settings;
}

bool belongs(const ReportedRun& run, const RunGroup& group) {
  const ReportedRun& first = *group.runs.front();
  if (run.config.empty() || settings_without_seed(run) != settings_without_seed(first)) return false;
  // The same seed twice is no second sample of a result.
  const std::string seed = setting_of(run, kSeed);
  return std::ranges::none_of(
      group.runs, [&seed](const ReportedRun* other) { return setting_of(*other, kSeed) == seed; });
}

// What the names of all runs share before -SEED; empty where they are not named so.
std::string shared_name(const RunGroup& group) {
  std::string shared;
  for (const ReportedRun* run : group.runs) {
    const std::string ending = "-" + setting_of(*run, kSeed);
    if (!run->name.ends_with(ending)) return "";
    const std::string name = run->name.substr(0, run->name.size() - ending.size());
    if (run != group.runs.front() && name != shared) return "";
    shared = name;
  }
  return shared;
}

// Two groups of one name would look like one: they keep the names of their first runs.
void name_groups(std::vector<RunGroup>& groups) {
  std::map<std::string, int> uses;
  for (RunGroup& group : groups) {
    const std::string shared = group.of_seeds() ? shared_name(group) : "";
    if (!shared.empty()) group.name = shared;
    ++uses[group.name];
  }
  for (RunGroup& group : groups) {
    if (uses.at(group.name) > 1) group.name = group.runs.front()->name;
  }
}

}  // namespace

std::vector<RunGroup> group_runs(const std::vector<ReportedRun>& runs) {
  std::vector<RunGroup> groups;
  for (const ReportedRun& run : runs) {
    const auto own =
        std::ranges::find_if(groups, [&run](const RunGroup& group) { return belongs(run, group); });
    if (own != groups.end()) {
      own->runs.push_back(&run);
    } else {
      groups.push_back({.name = run.name, .runs = {&run}, .look = static_cast<int>(groups.size())});
    }
  }
  if (groups.size() > kMostGroups) {
    fail_usage(
        "RUN: wanted at most {} groups of runs, which curves can tell apart, found {}; a group is runs whose "
        "settings differ only in train.seed",
        kMostGroups, groups.size());
  }
  name_groups(groups);
  return groups;
}

std::vector<report::Point> group_curve(const RunGroup& group, const LogNumber& number) {
  const report::LogAxis& axis = report::log_axis(number.axis);
  std::vector<std::vector<report::LogPoint>> curves;
  for (const ReportedRun* run : group.runs) {
    curves.push_back(run->log.points(number.event, number.key, axis, number.accept));
  }
  return report::mean_curve(curves);
}

}  // namespace megin::cli
