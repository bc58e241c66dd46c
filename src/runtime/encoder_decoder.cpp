#include "runtime/encoder_decoder.h"

#include <cassert>

#include "runtime/decoder.h"

namespace megin::runtime {

EncoderDecoder::EncoderDecoder(std::shared_ptr<const Weights> weights, config::Dispatch dispatch)
    : weights_(std::move(weights)), dispatch_(std::move(dispatch)) {
  config::check(dispatch_, config().experts, expert_layers(config()));
}

std::unique_ptr<search::DecodingState> EncoderDecoder::begin(std::span<const search::Source> sources,
                                                             int64_t rows_per_source) const {
  return std::make_unique<DecoderState>(*weights_, dispatch_, sources, rows_per_source);
}

void EncoderDecoder::step(search::DecodingState& state, std::span<const int32_t> tokens,
                          std::span<float> log_probs) const {
  auto& own = static_cast<DecoderState&>(state);
  assert(static_cast<int64_t>(tokens.size()) == own.cache.rows());
  assert(static_cast<int64_t>(log_probs.size()) == own.cache.rows() * vocabulary());
  decode_step(*weights_, dispatch_, own, tokens, log_probs);
}

void EncoderDecoder::reorder(search::DecodingState& state, std::span<const int64_t> rows) const {
  auto& own = static_cast<DecoderState&>(state);
  own.cache.reorder(rows);
  std::swap(own.source_of, own.old_source_of);
  own.source_of.resize(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    own.source_of[i] = own.old_source_of[static_cast<size_t>(rows[i])];
  }
}

int64_t expert_layers(const config::ModelConfig& config) {
  int64_t count = 0;
  for (const int64_t layers : {config.encoder_layers, config.decoder_layers}) {
    for (int64_t i = 0; i < layers; ++i) count += config::is_expert_layer(config.experts, i) ? 1 : 0;
  }
  return count;
}

}  // namespace megin::runtime
