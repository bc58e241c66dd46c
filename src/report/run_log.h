// The log of a training, RUN/log.jsonl (docs/run_directory.md), as what reports draw from.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "report/line_chart.h"

namespace megin::report {

// What the x axis of a curve shows: a number that each line of the log has, in a unit.
struct LogAxis {
  std::string_view name;  // as --x takes it
  std::string_view key;
  double unit = 1;
  std::string_view label;
};

// updates, share (of the run's updates, in %), minutes, cpu-minutes and flops. UsageError that lists them for
// another name.
const LogAxis& log_axis(std::string_view name);

// A point of a curve, and the update after which its line was written.
struct LogPoint {
  int64_t update;
  Point point;
};

class RunLog {
 public:
  // Reads all lines; one that is no JSON (half-written) is left out. Throws Error when the folder holds no
  // log.
  explicit RunLog(const std::filesystem::path& run);

  const std::string& name() const { return name_; }  // of the run's folder
  const std::filesystem::path& folder() const { return folder_; }
  const std::vector<nlohmann::json>& lines() const { return lines_; }

  // The numbers of `key` in the lines of an event, for which `accept` holds (none: all). Throws Error when
  // they lack the axis's number.
  using Accept = std::function<bool(const nlohmann::json&)>;
  std::vector<LogPoint> points(std::string_view event, std::string_view key, const LogAxis& axis,
                               const Accept& accept = {}) const;

  // The same without the updates.
  std::vector<Point> curve(std::string_view event, std::string_view key, const LogAxis& axis,
                           const Accept& accept = {}) const;

 private:
  std::filesystem::path folder_;
  std::string name_;
  std::vector<nlohmann::json> lines_;
};

}  // namespace megin::report
