// Training a mixture of translations by expectation-maximisation, a micro-batch at a time (Shen et al. 2019,
// as fairseq's translation_moe; thor spec 2.3). Which component a sentence belongs to is not known: the
// responsibilities r = p(z|x, y) of the components are computed with the parameters as they are and dropout
// off, and then either the likeliest component learns the sentence (hard), or all by their share (soft).
#pragma once

#include <ATen/core/Tensor.h>

#include "config/train_config.h"
#include "data/token_batch.h"
#include "model/transformer.h"
#include "objective/vocabulary_loss.h"
#include "routing/route.h"

namespace megin::train {

// r, [sentences, components], fp32: the softmax over z of -CE(y|z, x) + log p(z|x), with the smoothed
// cross-entropy that is trained. No gradient.
at::Tensor responsibilities(const model::Transformer& model, const data::TokenBatch& batch,
                            const net::ForwardContext& context, double label_smoothing);

struct MixtureLoss {
  // total: sum over sentences and components of r (CE(y|z, x) - log p(z|x)), where hard EM rounds r; the
  // prior counts only where it is learned. The other values are the cross-entropies alone, weighted by r.
  objective::VocabularyLoss loss;
  // By sentence, of r before it is rounded: the likeliest components, and their responsibilities.
  routing::RouteStatistics statistics;
};

// Both steps over one micro-batch, in the context of a training pass.
MixtureLoss mixture_loss(const model::Transformer& model, const data::TokenBatch& batch,
                         const net::ForwardContext& context, const config::ObjectiveConfig& objective);

// The sum over sentences of -log p(y|x) = -log sum_z p(z|x) p(y|z, x), nats. No gradient.
double mixture_nll(const model::Transformer& model, const data::TokenBatch& batch,
                   const net::ForwardContext& context);

}  // namespace megin::train
