// GPT-2 as transformers stores it (GPT2LMHeadModel; Radford et al. 2019): a causal_lm with norms before the
// sublayers, learned positions and gelu_tanh, whose embeddings are not scaled. Its one special symbol, the
// end of a text, is megin's end mark, which begins texts too.
#pragma once

#include <array>
#include <nlohmann/json.hpp>

#include "exchange/plan.h"

namespace megin::exchange {

// What vocab.json of a model that megin wrote calls megin's special symbols, by their ids; the end mark has a
// name of its own. Other models have none of these.
inline constexpr std::array<const char*, 4> kSpecialPieces = {"<|megin begin|>", "<|megin padding|>", "",
                                                              "<|megin unknown|>"};

// From config.json, vocab.json and merges.txt. Throws Error as read_plan() does.
Plan gpt2_plan(const std::filesystem::path& folder, const nlohmann::json& config);

}  // namespace megin::exchange
