// The record of a run: RUN/log.jsonl, one JSON object a line, and TensorBoard events under RUN/events
// (docs/run_directory.md lists the keys).
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "report/tensorboard_events.h"
#include "train/progress_record.h"
#include "train/validation.h"

namespace megin::train {

// What some methods change while they train; empty in others.
struct ChangingNumbers {
  std::map<std::string, double> dropout_rates = {};  // see learned_dropout_rates()
  // Experts that a token met, the mean of the interval's updates: one number, or one for each expert layer,
  // encoder first, where they have numbers of their own.
  std::vector<double> active_experts = {};
};

class EventLog {
 public:
  // Opens for appending after `progress`. What a session that was killed wrote of later updates is removed,
  // as are a half-written last line and the line of an interval that is still open; before the first update
  // the log starts anew.
  EventLog(const std::filesystem::path& run, const ProgressRecord& progress);

  void started(const nlohmann::json& facts);
  // The interval that ends there; of learned routers also a line for each expert layer.
  void updated(const ProgressRecord& progress, const ChangingNumbers& numbers);
  void validated(const ProgressRecord& progress, const ValidationResult& result);
  void ended(int64_t update, const nlohmann::json& facts);

 private:
  void routed(int64_t update, const RoutingReport& report);
  void write(const nlohmann::json& line);
  void scalars(int64_t update, const nlohmann::json& line, std::string_view group);

  std::filesystem::path file_;
  std::ofstream out_;
  report::TensorboardEvents events_;
};

}  // namespace megin::train
