// Positions: fairseq's sinusoids (thor spec 3.2), rotary ones (Su et al. 2021), and vectors of distances.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace megin::net {

// [length, width], fp32: row t is the vector of position t + 2 (fairseq counts from the pad id + 1 = 2), the
// sines of all frequencies first and then the cosines; frequency k is 10000^(-k / (width / 2 - 1)).
at::Tensor sinusoidal_positions(int64_t length, int64_t width);

// [count, width], fp32: row t is the vector of distance t (Dai et al. 2019, as their code): the sines of all
// frequencies first and then the cosines; frequency k is 10000^(-2k / width).
at::Tensor distance_vectors(int64_t count, int64_t width);

// x: [..., length, head width]. Turns the pair (i, i + half) of position t by t * 10000^(-i / half).
at::Tensor rotate(const at::Tensor& x);

}  // namespace megin::net
