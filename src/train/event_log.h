// The record of a run: RUN/log.jsonl, one JSON object a line, and TensorBoard events under RUN/events
// (docs/run_directory.md lists the keys).
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "report/tensorboard_events.h"
#include "train/progress_record.h"
#include "train/validation.h"

namespace megin::train {

class EventLog {
 public:
  // Opens for appending after `progress`. What a session that was killed wrote of later updates is removed,
  // as are a half-written last line and the line of an interval that is still open; before the first update
  // the log starts anew.
  EventLog(const std::filesystem::path& run, const ProgressRecord& progress);

  void started(const nlohmann::json& facts);
  // The interval that ends there; of learned routers also a line for each expert layer. `rates`: see
  // learned_dropout_rates().
  void updated(const ProgressRecord& progress, const std::map<std::string, double>& rates = {});
  void validated(const ProgressRecord& progress, const ValidationResult& result);
  void ended(int64_t update, const std::string& reason);

 private:
  void routed(int64_t update, const RoutingReport& report);
  void write(const nlohmann::json& line);
  void scalars(int64_t update, const nlohmann::json& line, std::string_view group);

  std::filesystem::path file_;
  std::ofstream out_;
  report::TensorboardEvents events_;
};

}  // namespace megin::train
