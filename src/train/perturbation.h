// Noise on the token embeddings of an objective's second pass: R3F (Aghajanyan et al. 2020) and SMART (Jiang
// et al. 2020), as thor spec 2.4 and 2.5.
#pragma once

#include "config/train_config.h"
#include "data/token_batch.h"
#include "model/transformer.h"
#include "net/forward_context.h"

namespace megin::train {

// Normal or uniform noise for the sides that the configuration names (a causal_lm has the target only), zero
// on padding: a hash of the pass that `context` is of, the side and the element.
model::EmbeddingNoise draw_noise(const config::PerturbationConfig& config, const data::TokenBatch& batch,
                                 const model::Transformer& model, const net::ForwardContext& context);

// Noise that moves the prediction away from that of `first` (decoder states [positions, d] of the first pass,
// taken as they are): starts as N(0, start^2), takes `steps` steps along the gradient of the consistency, and
// is scaled back to the L2 norm `size` over a side of a sentence where it is longer. Leaves the parameters'
// gradients alone.
model::EmbeddingNoise find_adversarial_noise(const config::PerturbationConfig& config,
                                             const data::TokenBatch& batch, const model::Transformer& model,
                                             const net::ForwardContext& context, const at::Tensor& first);

}  // namespace megin::train
