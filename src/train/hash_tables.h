// The tables of hash routers, made from the training text.
#pragma once

#include "data/prepared_data.h"
#include "train/run_directory.h"

namespace megin::train {

// Fills router.table of every expert layer (config::HashTable); nothing where the model has none. Source and
// target symbols are counted as the stacks see them: a source ends, and a decoder input begins, with the end
// mark; a text of bytes has none. A masked_lm's text is counted before it is masked.
void fill_hash_tables(const data::PreparedData& data, TrainingState& state);

}  // namespace megin::train
