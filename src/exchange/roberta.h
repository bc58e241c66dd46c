// RoBERTa as transformers stores it (RobertaForMaskedLM, RobertaModel; Liu et al. 2019): BERT's body with
// GPT-2's byte pairs. Positions start behind the padding symbol's number, so that a text's first token has
// the third; its special symbols are megin's.
#pragma once

#include <nlohmann/json.hpp>

#include "exchange/plan.h"

namespace megin::exchange {

// From config.json, vocab.json, merges.txt and tokenizer_config.json. Throws Error as read_plan() does.
Plan roberta_plan(const std::filesystem::path& folder, const nlohmann::json& config);

}  // namespace megin::exchange
