// A training from its configuration to its model: builds or restores everything, then updates, validates,
// saves and stops.
#pragma once

#include <optional>
#include <string>

#include "base/console.h"
#include "config/run_config.h"
#include "train/progress_record.h"

namespace megin::train {

struct TrainingResult {
  int64_t update = 0;        // completed, over all sessions
  std::string reason;        // "max_updates", "patience", "signal" ...
  bool interrupted = false;  // by a signal: --resume continues
  std::optional<BestValidation> best;
  std::string model;   // path of the model directory
  double seconds = 0;  // of training, over all sessions
  double target_tokens_per_second = 0;
};

struct TrainingOptions {
  bool resume = false;  // continue the run; starts it where there is nothing to continue
  // A model directory whose weights a new run begins with; empty: drawn. A run that is resumed knows its own.
  std::string from = {};
};

// Runs until a limit of the configuration or a signal (SIGTERM, SIGINT: finishes the update, saves, returns).
// Progress goes to `console`. Resuming is exact: the parameters after update N are the same bytes however
// often the run was stopped or killed on the way (same machine, same thread count). Throws Error: data that
// cannot be read, a full disk (the checkpoints before stay), a loss that is not finite.
TrainingResult run_training(config::RunConfig config, const TrainingOptions& options, Console& console);

}  // namespace megin::train
