// GPT-2 as transformers stores it (GPT2LMHeadModel; Radford et al. 2019): a causal_lm with norms before the
// sublayers, learned positions and gelu_tanh, whose embeddings are not scaled. Its one special symbol, the
// end of a text, is megin's end mark, which begins texts too.
#pragma once

#include <nlohmann/json.hpp>

#include "exchange/plan.h"

namespace megin::exchange {

// From config.json, vocab.json and merges.txt. Throws Error as read_plan() does.
Plan gpt2_plan(const std::filesystem::path& folder, const nlohmann::json& config);

}  // namespace megin::exchange
