// Beginning a training with the weights of a model: fine-tuning, and healing what megin convert made.
#pragma once

#include <filesystem>
#include <string>

#include "base/console.h"
#include "data/prepared_data.h"
#include "train/run_directory.h"

namespace megin::train {

// Copies every tensor of the model directory `model` into the state's model. A router's tensors that the
// directory lacks, a mixture's prior and first vectors, and a classifier's head where the directory has none
// of the same classes keep their first values; `console` is told which, and what of the directory is left
// over. An encoder_decoder may begin with a masked_lm: its encoder and its source's embedding are then that
// one's, and all else keeps its first values. Throws Error when the directory was made with other subwords
// than the data, or is of another architecture than the recipe (dropout, how values begin, and how experts
// are chosen may differ: the last is told; keys of experts say nothing of a dense model), naming the key; and
// when a table names no expert.
void start_from(const std::filesystem::path& model, const data::PreparedData& data, TrainingState& state,
                Console& console);

// Of a model directory's tensors, as the records of a run have it.
std::string weights_checksum(const std::filesystem::path& model);

// RUN/begun_from.json: which model a run began with, for one that has to begin again.
void remember_start(const std::filesystem::path& model, const std::filesystem::path& run);
// Empty for a run that began with weights of its own. Throws Error where the model is no longer what it was.
std::filesystem::path begun_from(const std::filesystem::path& run);

}  // namespace megin::train
