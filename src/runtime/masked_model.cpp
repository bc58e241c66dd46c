#include "runtime/masked_model.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "config/enums.h"
#include "runtime/encoder.h"

namespace megin::runtime {

MaskedModel::MaskedModel(std::shared_ptr<const Weights> weights, config::Dispatch dispatch,
                         Measurements measured)
    : weights_(std::move(weights)), dispatch_(std::move(dispatch)), measured_(measured) {
  if (!config::is_masked_lm(config())) {
    fail_usage("wanted a masked language model, found a model of kind {}", config::enum_name(config().kind));
  }
  config::check(dispatch_, config());
}

TokenStates MaskedModel::states(std::span<const search::Source> sentences) const {
  Workspace work(config(), dispatch_, measured_);
  const Encoded encoded = encode(*weights_, dispatch_, sentences, work);
  TokenStates found{.width = config().width, .offsets = encoded.offsets, .values = {}};
  found.values.reserve(static_cast<size_t>(found.tokens() * found.width));
  for (int64_t row = 0; row < found.tokens(); ++row) {
    const float* const from = encoded.states.row(row);
    found.values.insert(found.values.end(), from, from + found.width);
  }
  return found;
}

std::vector<float> MaskedModel::logits(const TokenStates& states, std::span<const int64_t> rows) const {
  if (rows.empty()) return {};
  const auto count = static_cast<int64_t>(rows.size());
  RowBuffer read(config().width), transformed(config().width);
  for (RowBuffer* const buffer : {&read, &transformed}) buffer->reserve(count);
  Rows x = read.rows(count);
  for (int64_t r = 0; r < count; ++r) {
    std::ranges::copy(states.row(rows[static_cast<size_t>(r)]), x.row(r));
  }
  if (config().output_transform) {
    const Rows y = transformed.rows(count);
    weights_->output_transform(x, y);
    activate(config().activation, config().width, y, y);
    normalise(weights_->output_transform_norm, y, y);
    x = y;
  }
  std::vector<float> found(static_cast<size_t>(count * vocabulary()));
  multiply(weights_->output, weights_->output_bias, x, Rows{found.data(), count, vocabulary()});
  return found;
}

std::vector<float> MaskedModel::log_probs(const TokenStates& states, std::span<const int64_t> rows) const {
  std::vector<float> found = logits(states, rows);
  if (found.empty()) return found;
  log_softmax(vocabulary(), Rows{found.data(), static_cast<int64_t>(rows.size()), vocabulary()});
  return found;
}

}  // namespace megin::runtime
