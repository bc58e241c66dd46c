// Row kernels of the chunked vocabulary loss, vectorised for the processor at hand.
#pragma once

#include <cstdint>

#include "objective/vocabulary_loss.h"

namespace megin::objective {

// What one target position contributes.
struct RowLoss {
  double cross_entropy[2] = {0, 0};
  double nll[2] = {0, 0};
  double consistency = 0;
  double distillation = 0;
};

// Label smoothing's probabilities: 1 - eps - e for the target and e for every symbol.
struct Smoothing {
  float target = 1;
  float each = 0;
};

// Replaces the logits of one position, [symbols] for each pass (second null for one pass), by the gradient of
// the weighted loss with respect to them, and returns the losses. The sum over symbols is in a fixed order.
// scratch: [symbols] for each pass, overwritten.
RowLoss loss_row(float* first, float* second, int64_t symbols, int32_t label,
                 const VocabularyLossWeights& weights, float* scratch);

// D of one position. Replaces the teacher's logits, [symbols], by the gradient of weights.distillation * D in
// the model's, which stay as they are. The sum over symbols is in a fixed order. scratch: [3 * symbols],
// overwritten.
double distillation_row(const float* logits, float* teacher, int64_t symbols,
                        const VocabularyLossWeights& weights, float* scratch);

// to[v] += from[v].
void add_row(const float* from, int64_t symbols, float* to);

// The smoothed cross-entropy of one position, nats. The logits stay as they are.
double cross_entropy_row(const float* logits, int64_t symbols, int32_t label, double label_smoothing);

}  // namespace megin::objective
