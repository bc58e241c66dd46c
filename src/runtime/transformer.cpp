#include "runtime/transformer.h"

#include <algorithm>
#include <cassert>

#include "base/error.h"
#include "runtime/decoder.h"

namespace megin::runtime {

Transformer::Transformer(std::shared_ptr<const Weights> weights, config::Dispatch dispatch,
                         Measurements measured)
    : weights_(std::move(weights)), dispatch_(std::move(dispatch)), measured_(measured) {
  config::check(dispatch_, config());
}

std::unique_ptr<search::DecodingState> Transformer::begin(std::span<const search::Source> sources,
                                                          int64_t rows_per_source) const {
  if (!config::has_decoder(config())) {
    fail_usage("wanted a model that says the next token, found a masked language model");
  }
  return std::make_unique<DecoderState>(*weights_, dispatch_, sources, rows_per_source, measured_);
}

void Transformer::step(search::DecodingState& state, std::span<const int32_t> tokens,
                       std::span<float> log_probs) const {
  auto& own = static_cast<DecoderState&>(state);
  assert(static_cast<int64_t>(tokens.size()) == own.cache.rows());
  assert(static_cast<int64_t>(log_probs.size()) == own.cache.rows() * vocabulary());
  decode_step(*weights_, dispatch_, own, tokens, log_probs);
}

void Transformer::read(search::DecodingState& state, std::span<const int32_t> tokens,
                       std::span<float> states) const {
  auto& own = static_cast<DecoderState&>(state);
  const int64_t rows = own.cache.rows();
  assert(static_cast<int64_t>(tokens.size()) == rows);
  assert(static_cast<int64_t>(states.size()) == rows * config().width);
  decode_states(*weights_, dispatch_, own, tokens, {states.data(), rows, config().width});
}

void Transformer::reorder(search::DecodingState& state, std::span<const int64_t> rows) const {
  auto& own = static_cast<DecoderState&>(state);
  own.cache.reorder(rows);
  std::swap(own.source_of, own.old_source_of);
  std::swap(own.recent, own.old_recent);
  own.source_of.resize(rows.size());
  own.recent.resize(rows.size() * static_cast<size_t>(own.reach));
  for (size_t i = 0; i < rows.size(); ++i) {
    own.source_of[i] = own.old_source_of[static_cast<size_t>(rows[i])];
    std::copy_n(own.old_recent.begin() + rows[i] * own.reach, own.reach,
                own.recent.begin() + static_cast<int64_t>(i) * own.reach);
  }
}

}  // namespace megin::runtime
