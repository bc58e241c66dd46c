#include "cli/report_runs.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "config/value.h"
#include "report/run_names.h"

namespace megin::cli {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

void flatten(const config::Value& value, const std::string& path,
             std::map<std::string, std::string>& settings) {
  switch (value.kind) {
    case config::Value::Kind::kMap:
      for (const config::Member& member : value.members) {
        flatten(member.value, path.empty() ? member.key : path + "." + member.key, settings);
      }
      return;
    case config::Value::Kind::kList:
      for (size_t i = 0; i < value.items.size(); ++i) {
        flatten(value.items[i], fmt::format("{}.{}", path, i), settings);
      }
      return;
    case config::Value::Kind::kText:
      settings[path] = value.text;
      return;
    case config::Value::Kind::kNothing:
      settings[path] = "";
  }
}

ReportedRun read_run(const std::string& folder) {
  ReportedRun run{.name = {}, .log = report::RunLog(folder), .config = {}, .settings = {}};
  const fs::path file = run.log.folder() / "config.yaml";
  if (!fs::exists(file)) return run;
  run.config = read_file(file);
  flatten(config::parse_yaml(run.config, file.string()), "", run.settings);
  return run;
}

}  // namespace

std::vector<ReportedRun> read_runs(const std::vector<std::string>& folders) {
  std::vector<ReportedRun> runs;
  std::vector<fs::path> paths;
  std::set<fs::path> given;
  for (const std::string& folder : folders) {
    runs.push_back(read_run(folder));
    paths.push_back(runs.back().log.folder());
    if (!given.insert(paths.back()).second) fail_usage("RUN: wanted each run once, found {} twice", folder);
  }
  const auto names = report::run_names(paths);
  for (size_t i = 0; i < runs.size(); ++i) runs[i].name = names[i];
  return runs;
}

std::string setting_of(const ReportedRun& run, const std::string& key) {
  const auto found = run.settings.find(key);
  return found == run.settings.end() ? "" : found->second;
}

const json* last_line(const ReportedRun& run, std::string_view event, std::string_view key) {
  const json* found = nullptr;
  for (const json& line : run.log.lines()) {
    if (line.value("event", "") == event && line.contains(key)) found = &line;
  }
  return found;
}

bool is_without_bleu(const ReportedRun& run) {
  return last_line(run, "validation", "perplexity") != nullptr &&
         last_line(run, "validation", "bleu") == nullptr;
}

std::vector<std::string> differing_keys(const std::vector<ReportedRun>& runs) {
  std::set<std::string> keys;
  for (const ReportedRun& run : runs) {
    for (const auto& [key, value] : run.settings) keys.insert(key);
  }
  std::vector<std::string> differ;
  for (const std::string& key : keys) {
    if (key == "train.run") continue;
    std::set<std::string> values;
    for (const ReportedRun& run : runs) {
      values.insert(run.settings.contains(key) ? "=" + run.settings.at(key) : std::string("not set"));
    }
    if (values.size() > 1) differ.push_back(key);
  }
  return differ;
}

}  // namespace megin::cli
