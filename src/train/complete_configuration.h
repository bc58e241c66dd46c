// A recipe and the data it names, brought together before anything is trained.
#pragma once

#include "config/run_config.h"
#include "data/prepared_data.h"

namespace megin::train {

// Takes the sizes of vocabularies and the number of classes from the data. Throws UsageError where recipe and
// data cannot be together (task, vocabularies, classes, lengths) or the first validation would be refused.
void complete_configuration(config::RunConfig& config, const data::PreparedData& data);

}  // namespace megin::train
