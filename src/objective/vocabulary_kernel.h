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

// The smoothed cross-entropy of one position, nats. The logits stay as they are.
double cross_entropy_row(const float* logits, int64_t symbols, int32_t label, double label_smoothing);

}  // namespace megin::objective
