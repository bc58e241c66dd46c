// Checkpoints of a run: RUN/checkpoints/update-N/ with
//
//   state.safetensors   the named tensors of the training state (prefixes below)
//   state.json          counters, position in the data, everything that is not a tensor
//   manifest.json       {"format": 1, "update": N,
//                        "files": {"state.json": {"bytes": 123, "xxh3": "0123456789abcdef"}, ...}}
//
// One is written under a temporary name, flushed to the disk, given its manifest and renamed, so a crash or a
// full disk at any moment leaves the ones before as they were. One process writes to a run at a time. See
// docs/model_format.md.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "store/safetensors.h"

namespace megin::store {

// Prefixes of tensor names in state.safetensors; a name of tensor_names.h follows.
inline constexpr std::string_view kValuePrefix = "value/";
inline constexpr std::string_view kFirstMomentPrefix = "first_moment/";
inline constexpr std::string_view kSecondMomentPrefix = "second_moment/";
inline constexpr std::string_view kAveragePrefix = "average/";  // moving average of the weights
// PASS.LAYER follows: [rows, tokens, d], what a model with relative positions remembers.
inline constexpr std::string_view kMemoryPrefix = "memory/";
inline constexpr std::string_view kTeacherMemoryPrefix = "teacher_memory/";  // the same of its teacher

// What goes into a checkpoint; the tensors' bytes belong to the caller.
struct CheckpointContent {
  std::span<const TensorView> tensors;
  nlohmann::json state = nlohmann::json::object();  // finite numbers only: JSON has no infinity
};

// An opened checkpoint whose files were all found to be as they were written.
struct Checkpoint {
  int64_t update = 0;
  std::filesystem::path directory;
  SafetensorsFile tensors;  // mapped: stays readable even when prune removes the directory
  nlohmann::json state;
};

// RUN/checkpoints/update-N.
std::filesystem::path checkpoint_directory(const std::filesystem::path& run, int64_t update);

// Writes the checkpoint of `update`, replacing one of that number. Throws Error (disk full ...); then the
// checkpoints are what they were before.
void write_checkpoint(const std::filesystem::path& run, int64_t update, const CheckpointContent& content);

// Verifies sizes and checksums against the manifest and opens. Throws Error naming the file and what is
// wrong.
Checkpoint open_checkpoint(const std::filesystem::path& run, int64_t update);

// The updates that have a checkpoint directory, ascending, good or not.
std::vector<int64_t> list_checkpoints(const std::filesystem::path& run);

// Called for each damaged checkpoint with its update and one sentence on what is wrong with it.
using DamageReport = std::function<void(int64_t update, const std::string& what)>;

// The newest checkpoint that verifies, or nothing; damaged ones are reported and left in place. For the
// process that owns the run: it also clears away what interrupted writes left behind.
std::optional<Checkpoint> newest_good_checkpoint(const std::filesystem::path& run,
                                                 const DamageReport& report);

// Up to `count` newest checkpoints that verify, newest first. Changes nothing: safe beside a running
// training.
std::vector<Checkpoint> newest_good_checkpoints(const std::filesystem::path& run, int64_t count,
                                                const DamageReport& report);

// Removes all but the newest `keep` (at least 1) and the updates in `protect` (the best one).
void prune_checkpoints(const std::filesystem::path& run, int64_t keep, std::span<const int64_t> protect);

}  // namespace megin::store
