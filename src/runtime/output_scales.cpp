#include "runtime/output_scales.h"

#include <cmath>

#include "base/error.h"

namespace megin::runtime {

std::vector<float> OutputSquares::scales(int64_t expert_layer, int64_t reference) const {
  const std::vector<double>& squares = sums_.at(static_cast<size_t>(expert_layer));
  const double wanted = squares.at(static_cast<size_t>(reference - 1));
  std::vector<float> scales;
  for (size_t i = 0; i < squares.size(); ++i) {
    if (!(squares[i] > 0) || !(wanted > 0) || !std::isfinite(squares[i])) {
      fail("expert layer {}: wanted outputs to measure with {} experts a token, found none that are not zero",
           expert_layer, i + 1);
    }
    scales.push_back(static_cast<float>(std::sqrt(wanted / squares[i])));
  }
  scales[static_cast<size_t>(reference - 1)] = 1.0F;
  return scales;
}

}  // namespace megin::runtime
