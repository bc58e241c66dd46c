// Trainings as `megin report` reads them.
#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "report/run_log.h"

namespace megin::cli {

struct ReportedRun {
  std::string name;  // by which the page tells it from the others
  report::RunLog log;
  std::string config;                           // config.yaml as it lies there; empty: there is none
  std::map<std::string, std::string> settings;  // the same: dotted key to value
};

// Reads log.jsonl and config.yaml of each folder. Throws UsageError for a folder given twice, Error for one
// that is no run directory.
std::vector<ReportedRun> read_runs(const std::vector<std::string>& folders);

// Empty where the run has no such setting.
std::string setting_of(const ReportedRun& run, const std::string& key);

// The last line of an event that has the key; null when there is none.
const nlohmann::json* last_line(const ReportedRun& run, std::string_view event, std::string_view key);

// Whether the run was validated without BLEU, as language models are: perplexity is shown instead.
bool is_without_bleu(const ReportedRun& run);

// The keys in which the settings differ; the run's own folder is no difference.
std::vector<std::string> differing_keys(const std::vector<ReportedRun>& runs);

}  // namespace megin::cli
