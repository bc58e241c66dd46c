// The head of a classifier (smoe_dropout spec 4.10): output(dropout(tanh(hidden(h)))) of the state h of one
// token of each sentence.
#pragma once

#include <ATen/core/Tensor.h>

#include "data/token_batch.h"
#include "net/forward_context.h"
#include "net/parameters.h"

namespace megin::model {

class ClassHead {
 public:
  // Of the tensors "classifier.*" of a classifier's parameters, which must outlive it.
  explicit ClassHead(const net::ParameterMemory& parameters);

  // Logits, [passes * sentences, classes], pass after pass, of the states that Transformer::forward() gave
  // for the batch, [passes * sentences * target_length, d]. Differentiable.
  at::Tensor logits(const at::Tensor& states, const data::TokenBatch& batch,
                    const net::ForwardContext& context) const;

 private:
  at::Tensor hidden_, hidden_bias_, output_, output_bias_;
};

// The rows of those states that a classifier looks at, [passes * sentences], int64: of a causal_lm the last
// token of each sentence, which has seen all others, of a masked_lm the first.
at::Tensor classified_rows(const data::TokenBatch& batch, int64_t passes);

}  // namespace megin::model
