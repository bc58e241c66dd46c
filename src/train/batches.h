// The batches that a model is trained and validated on: pairs, blocks of a text, or sentences with labels.
#pragma once

#include <memory>

#include "config/run_config.h"
#include "data/batch_stream.h"
#include "data/prepared_data.h"

namespace megin::train {

// The endless shuffled stream of the training set, of a text in blocks of model.max_length tokens; of a
// masked_lm, masked anew in each epoch. Keeps a reference to the data.
std::unique_ptr<data::BatchStream> training_batches(const config::RunConfig& config,
                                                    const data::PreparedData& data);

// The validation set in an order of its own; batches() of them are one pass. Of a text at most
// train.validation.sentences blocks; always with the same masks (text::kEvaluationMaskSeed).
std::unique_ptr<data::BatchStream> validation_batches(const config::TrainConfig& train,
                                                      const config::ModelConfig& model,
                                                      const data::PreparedData& data);

}  // namespace megin::train
