// Whether a model has room for the pairs that it is trained and validated on.
#pragma once

#include "config/model_config.h"
#include "data/prepared_data.h"

namespace megin::train {

// Preparing bounds training pairs by data.max_tokens, which another recipe may have given, and those of the
// validation set not at all. Throws UsageError naming the first pair with a longer side than
// model.max_length, end mark included. Texts are cut into blocks and sentences with labels to their first
// tokens: they always fit.
void check_lengths(const data::PreparedData& data, const config::ModelConfig& model);

}  // namespace megin::train
