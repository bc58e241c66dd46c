// Where a training is: everything beside parameters and optimiser that a resumed run must know.
#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "data/batch_stream.h"
#include "train/training_step.h"

namespace megin::train {

struct BestValidation {
  int64_t update = 0;
  double loss = 0;                      // nats a token (a sentence of a classifier), not smoothed
  std::optional<double> bleu;           // not measured with validation.bleu off
  std::optional<double> accuracy = {};  // of a classifier, 0 to 1

  bool operator==(const BestValidation&) const = default;
};

// What training has cost so far, over all sessions; validating and saving are left out.
struct TrainingCost {
  double seconds = 0;
  double cpu_seconds = 0;  // of all threads
  double flops = 0;        // of products with weights, on tokens; a multiply-add is two
};

// What happened since the last line of the log.
struct Interval {
  UpdateReport sums;  // over its updates; learning rate and gradient norm are those of the last
  double seconds = 0;
  double cpu_seconds = 0;
  int64_t updates = 0;
};

struct ProgressRecord {
  int64_t update = 0;             // completed
  data::StreamPosition position;  // of the next micro-batch
  int64_t target_tokens = 0;      // seen so far
  double seconds = 0;             // since the start, validating and saving included, over all sessions
  TrainingCost cost;
  std::optional<BestValidation> best;
  int64_t validations_without_best = 0;
  int64_t last_validation = -1;  // update of the last one; -1: none
  Interval interval;             // begun, not yet logged: a stop leaves no trace in the log's numbers
};

nlohmann::json to_json(const ProgressRecord& record);

// Throws Error naming `where` when a key is missing or of the wrong type.
ProgressRecord progress_from_json(const nlohmann::json& json, const std::string& where);

}  // namespace megin::train
