// What a training writes into its run directory (docs/run_directory.md): checkpoints, `best`, the model.
#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/console.h"
#include "base/directory_lock.h"
#include "config/run_config.h"
#include "data/prepared_data.h"
#include "model/transformer.h"
#include "store/safetensors.h"
#include "train/progress_record.h"
#include "train/training_step.h"

namespace megin::train {

// Everything that changes while a model trains.
struct TrainingState {
  explicit TrainingState(const config::RunConfig& config);  // initialised by train.seed

  model::Transformer model;
  OptimizerState optimizer;
  model::SegmentMemory memory;          // of a model with relative positions
  model::SegmentMemory teacher_memory;  // of its teacher, if it has one
  ProgressRecord progress;

  // What validation and the published model use: the moving average where there is one, else the parameters.
  std::span<const float> served_values() const;
};

// The resolved configuration of a run.
std::filesystem::path configuration_path(const std::filesystem::path& run);

// Held against other processes from start() or restore() on.
class RunDirectory {
 public:
  RunDirectory(std::filesystem::path path, const config::RunConfig& config, const data::PreparedData& data);

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path model_path() const { return path_ / "model"; }

  bool holds_run() const;

  // For a new run: makes the directory and writes the resolved configuration. Throws Error when it holds a
  // run, or when another process writes into it.
  void start();

  void write_configuration() const;  // config.yaml as it is in this session

  // Restores the newest good checkpoint. Damaged checkpoints that are newer are named on `console` and set
  // aside as update-N.damaged, where they neither count as newest nor stand in the way of the one that will
  // be written again. Returns false when there is no good one. Throws Error when the run was made with other
  // data or another process writes into it, UsageError when with another model, method or optimiser (it names
  // the key).
  bool restore(TrainingState& state, Console& console);

  void save(const TrainingState& state) const;  // a checkpoint; then removes old ones
  void mark_best(int64_t update) const;         // points RUN/best at that checkpoint

  // Writes RUN/model from the state's served values.
  void publish(const TrainingState& state) const;
  // Writes RUN/model as the mean of the newest `count` checkpoints. Returns how many there were.
  int64_t publish_mean(const TrainingState& state, int64_t count) const;

 private:
  void require_same_configuration() const;
  void set_aside(int64_t update) const;
  void remove_leftovers() const;
  void write_model(const TrainingState& state, std::span<const store::TensorView> tensors,
                   std::vector<std::string> averaged) const;

  std::filesystem::path path_;
  const config::RunConfig& config_;
  const data::PreparedData& data_;
  std::optional<DirectoryLock> lock_;
};

// Views of a flat memory under the names of the table, with a prefix.
std::vector<store::TensorView> tensor_views(const net::ParameterMemory& layout, std::span<const float> memory,
                                            std::string_view prefix);

}  // namespace megin::train
