// T5 as transformers stores it (T5ForConditionalGeneration; Raffel et al. 2020): 1.0 with ReLU and an output
// that is the embedding, 1.1 with gated GELU and an output of its own. RMSNorms before the sublayers,
// bucketed positions, no biases, scores without a scale. The decoder begins with the padding symbol's vector
// (model.begin_vector).
#pragma once

#include <nlohmann/json.hpp>

#include "exchange/plan.h"

namespace megin::exchange {

// From config.json and spiece.model, and tokenizer_config.json where there is one. Throws Error as
// read_plan() does.
//
// The SentencePiece model gets a piece for each row of the table that it lacks: first the sentinels,
// as many as the tokenizer has, <extra_id_0> last; then rows that no text
// uses, of which the last one becomes <s>. Without such a row <s> has none and is never written
// (model.output_bias).
Plan t5_plan(const std::filesystem::path& folder, const nlohmann::json& config);

}  // namespace megin::exchange
