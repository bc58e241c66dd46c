// The encoder: hidden states of a batch of source sentences.
#pragma once

#include <span>
#include <vector>

#include "runtime/sublayers.h"
#include "search/next_token_model.h"

namespace megin::runtime {

// The tokens of all sentences one after another, without padding: sentence s has rows offsets[s] to
// offsets[s + 1] of `states`.
struct Encoded {
  Rows states;  // [tokens, width]; lies in the workspace given to encode()
  std::vector<int64_t> offsets;
};

// Throws Error for a sentence without tokens or longer than the model can read, or a token that is no id.
Encoded encode(const Weights& weights, const config::Dispatch& dispatch,
               std::span<const search::Source> sources, Workspace& work);

}  // namespace megin::runtime
