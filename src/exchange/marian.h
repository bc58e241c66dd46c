// Marian translation models as transformers stores them (MarianMTModel; the opus-mt models): norms after the
// sublayers, one table of vectors for source, target and output, and a bias on the logits. The decoder begins
// with the padding symbol's vector (model.begin_vector), or with the end mark's, as in models that megin
// wrote.
//
// Positions: sin then cos of t w_k, w_k = 10000^(-2k/d), from t = 0 on. megin's sinusoid is fairseq's, with
// other frequencies, so these come as learned positions, a table of its own for each side.
#pragma once

#include <nlohmann/json.hpp>

#include "exchange/plan.h"

namespace megin::exchange {

// From config.json, vocab.json, source.spm and target.spm. Throws Error as read_plan() does.
//
// vocab.json numbers the pieces of both SentencePiece models. Both are written anew with megin's order of all
// symbols: the special ones, those of vocab.json, and then pieces of either model that vocab.json lacks,
// which transformers reads as unknown: their rows are the unknown symbol's. Pieces of the other side are
// unused ones, but for single characters.
Plan marian_plan(const std::filesystem::path& folder, const nlohmann::json& config);

}  // namespace megin::exchange
