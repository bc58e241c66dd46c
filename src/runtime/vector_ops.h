// The operations of a Transformer between its matrix products: norms, activations, log-softmax. A row's
// result depends on that row only, not on how many there are: same bits in any batch.
#pragma once

#include <cstdint>
#include <span>

#include "config/model_config.h"
#include "runtime/matrices.h"

namespace megin::runtime {

// A norm's parameters, [width]; RMSNorm (Zhang and Sennrich 2019) has no bias.
struct NormWeights {
  std::span<const float> weight;
  std::span<const float> bias;  // empty: RMSNorm
  float epsilon = 1e-5F;        // added to the variance, or to the mean square
};

// y = norm of each row of x; y may be x.
void normalise(const NormWeights& norm, ConstRows x, Rows y);

// x[r, :] += y[r, :] for the first `width` columns; also x = x * factor.
void add(ConstRows y, int64_t width, Rows x);
void scale(float factor, int64_t width, Rows x);

// In place, the first `width` columns: h = act(h), or act(gate) * h where the activation is a gated one (gate
// is not read otherwise). GELU is the exact one, x * (1 + erf(x / sqrt 2)) / 2; gelu_tanh is that of GPT-2
// (config/model_config.h).
void activate(config::Activation activation, int64_t width, ConstRows gate, Rows h);

// In place: x - log(sum of exp(x)) of each row, the first `width` columns.
void log_softmax(int64_t width, Rows x);

}  // namespace megin::runtime
