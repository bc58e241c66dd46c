// The decoder: one token a row and step, with keys and values kept.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "runtime/encoder.h"
#include "runtime/key_value_cache.h"

namespace megin::runtime {

// What the rows attend to in the sources: keys and values of every decoder layer, made once from the
// encoder's states and shared by all rows of a source.
class SourceMemory {
 public:
  SourceMemory() = default;  // of a causal_lm, which has no sources to look at
  SourceMemory(const Weights& weights, const config::Dispatch& dispatch, const Encoded& encoded,
               Workspace& work);

  int64_t length(int64_t source) const { return lengths_[static_cast<size_t>(source)]; }
  // Which component of a mixture translates a source; 0 in other models.
  int64_t component(int64_t source) const { return components_[static_cast<size_t>(source)]; }
  // The mean of the encoder's states, one row; kept where the router chooses by sentence.
  ConstRows mean(int64_t source) const;
  // Puts pointers to the blocks of a source in a layer of its decoder into `blocks`.
  void blocks(int64_t source, int64_t layer, std::vector<const float*>& blocks) const;

 private:
  void choose_components(const Weights& weights, const config::Dispatch& dispatch);
  void add_layer(const Weights& weights, int64_t layer, const Encoded& encoded, Workspace& work);

  AttentionShape shape_;
  std::vector<int64_t> lengths_;
  std::vector<int64_t> components_;
  RowBuffer means_;
  std::vector<hwy::AlignedFreeUniquePtr<float[]>> memory_;  // per source [layers, blocks, block_floats]
};

// The state of a decoding; see search::DecodingState for who may use it.
struct DecoderState : search::DecodingState {
  DecoderState(const Weights& weights, const config::Dispatch& dispatch,
               std::span<const search::Source> sources, int64_t rows_per_source, Measurements measured = {});

  Workspace work;                   // first: the encoder runs in it while the members below are made
  std::vector<uint64_t> sentences;  // of each source
  std::vector<int64_t> source_of;   // of each row
  std::vector<int64_t> old_source_of;
  SourceMemory memory;
  KeyValueCache cache;
  // Of each row the last symbols fed, as many as its routers look at (mostly none), the newest last; -1:
  // nothing stood there.
  int64_t reach = 0;
  std::vector<int32_t> recent, old_recent;  // [rows, reach]
  std::vector<int64_t> under_way;           // rows of one decoder of a mixture, while it runs; else none
};

// One step: tokens [rows] to log-probabilities [rows, vocabulary]. Allocates nothing but blocks of the cache.
void decode_step(const Weights& weights, const config::Dispatch& dispatch, DecoderState& state,
                 std::span<const int32_t> tokens, std::span<float> log_probs);

// The same up to the states that the log-probabilities are made of: [rows, width].
void decode_states(const Weights& weights, const config::Dispatch& dispatch, DecoderState& state,
                   std::span<const int32_t> tokens, Rows states);

}  // namespace megin::runtime
