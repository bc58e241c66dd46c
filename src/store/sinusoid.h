// fairseq's sinusoidal positions (thor spec 3.2), which are no tensor of a model.
#pragma once

#include <cstdint>
#include <vector>

namespace megin::store {

// The vectors, [count, width], of tokens 0, 1 ... of a side: sines then cosines of (token + 2) * w_k, w_k =
// 10000^(-k / (width / 2 - 1)). width is even.
std::vector<float> sinusoidal_positions(int64_t count, int64_t width);

}  // namespace megin::store
