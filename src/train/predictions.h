// What a loss over the vocabulary is of: the states that predict, and the symbols that they should.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "data/token_batch.h"
#include "model/transformer.h"

namespace megin::train {

// Of a masked_lm the rows of tokens that are asked for alone, after its output transform, which thus costs
// nothing for the others; of other models all.
struct Predictions {
  at::Tensor states;             // [passes * positions, d], pass after pass
  std::vector<int32_t> targets;  // [positions], text::kPadId where nothing is asked
};

// states: of the batch, as Transformer::forward() returns them for `passes` passes.
Predictions predictions_of(const model::Transformer& model, const at::Tensor& states,
                           const data::TokenBatch& batch, int64_t passes, net::Operations operations);

}  // namespace megin::train
