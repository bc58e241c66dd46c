#include "report/run_log.h"

#include <fmt/format.h>

#include <sstream>

#include "base/error.h"
#include "base/files.h"
#include "report/run_names.h"

namespace megin::report {
namespace {

constexpr LogAxis kAxes[] = {
    {"updates", "update", 1, "updates"},
    {"share", "update", 1, "share of each run, %"},
    {"minutes", "minutes", 1, "minutes of training"},
    {"cpu-minutes", "cpu_minutes", 1, "processor minutes of training"},
    {"flops", "flops", 1e12, "training TFLOP"},
};

}  // namespace

const LogAxis& log_axis(std::string_view name) {
  std::string names;
  for (const LogAxis& axis : kAxes) {
    if (axis.name == name) return axis;
    names += fmt::format("{}{}", names.empty() ? "" : ", ", axis.name);
  }
  fail_usage("--x: wanted one of {}; found '{}'", names, name);
}

RunLog::RunLog(const std::filesystem::path& run)
    : folder_(whole_path(run)), name_(folder_.filename().string()) {
  const std::filesystem::path file = folder_ / "log.jsonl";
  if (!std::filesystem::exists(file)) {
    fail("{}: wanted a run directory of `megin train`, found no log.jsonl in it", run.string());
  }
  std::istringstream text(read_file(file));
  for (std::string line; std::getline(text, line);) {
    auto json = nlohmann::json::parse(line, nullptr, false);
    if (json.is_object()) lines_.push_back(std::move(json));
  }
}

std::vector<LogPoint> RunLog::points(std::string_view event, std::string_view key, const LogAxis& axis,
                                     const Accept& accept) const {
  std::vector<LogPoint> points;
  for (const nlohmann::json& line : lines_) {
    if (line.value("event", "") != event || !line.contains(key) || !line.at(std::string(key)).is_number())
      continue;
    if (accept && !accept(line)) continue;
    if (!line.contains(axis.key)) {
      fail("{}: lines of event '{}' have no '{}' (an older megin, or another event); choose another --x",
           (folder_ / "log.jsonl").string(), event, axis.key);
    }
    points.push_back({.update = line.value("update", int64_t{0}),
                      .point = {line.at(std::string(axis.key)).get<double>() / axis.unit,
                                line.at(std::string(key)).get<double>()}});
  }
  if (axis.name == "share" && !points.empty()) {
    const double last = points.back().point.x;
    for (LogPoint& of : points) of.point.x = 100 * of.point.x / last;
  }
  return points;
}

std::vector<Point> RunLog::curve(std::string_view event, std::string_view key, const LogAxis& axis,
                                 const Accept& accept) const {
  std::vector<Point> curve;
  for (const LogPoint& of : points(event, key, axis, accept)) curve.push_back(of.point);
  return curve;
}

}  // namespace megin::report
