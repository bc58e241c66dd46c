// BERT as transformers stores it (BertForMaskedLM, BertForPreTraining, BertModel; Devlin et al. 2019): a
// masked_lm whose special symbols [CLS], [PAD], [SEP] and [UNK] are megin's begin mark, padding, end mark and
// unknown. What predicts the next sentence (pooler, seq_relationship) megin's model does not have; it is
// kept.
#pragma once

#include <nlohmann/json.hpp>

#include "exchange/plan.h"

namespace megin::exchange {

// From config.json, vocab.txt and tokenizer_config.json. Throws Error as read_plan() does.
Plan bert_plan(const std::filesystem::path& folder, const nlohmann::json& config);

}  // namespace megin::exchange
