// Beginning a training with the weights of a model: fine-tuning, and healing what megin convert made.
#pragma once

#include <filesystem>

#include "base/console.h"
#include "data/prepared_data.h"
#include "train/run_directory.h"

namespace megin::train {

// Copies every tensor of the model directory `model` into the state's model. What the directory lacks keeps
// its first values where it is a router's or a mixture's; `console` is told which, and what of the directory
// is left over. Throws Error when the directory was made with other subwords than the data, or a tensor is
// missing or has another shape, with what to do.
void start_from(const std::filesystem::path& model, const data::PreparedData& data, TrainingState& state,
                Console& console);

}  // namespace megin::train
