// The steps that encoder and decoder layers share: token embedding, residual with norm, rotary positions, the
// feed-forward whose expert is chosen, and inserted experts. All work on rows of tokens; which sentence a row
// belongs to is the caller's knowledge, told in its draws.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "config/dispatch.h"
#include "runtime/measurements.h"
#include "runtime/weights.h"

namespace megin::runtime {

// Buffers for up to `rows` rows at a time; owned by a decoding state or by one encoder run.
struct Workspace {
  // For a model in use by `dispatch`. What measures must outlive it.
  Workspace(const config::ModelConfig& config, const config::Dispatch& dispatch, Measurements measured = {});

  void reserve(int64_t rows);

  int64_t most_choices = 1;          // experts of a row at most, in any layer
  RowBuffer states;                  // x, the running hidden states
  RowBuffer normed, output;          // of residual(): what a sublayer reads and writes
  RowBuffer of_decoder;              // rows of one decoder of a mixture
  RowBuffer projected;               // [3 * attention width]: query, key, value
  RowBuffer context;                 // of attention
  RowBuffer hidden, gate;            // [feed_forward], of the layers' or the experts', whichever is wider
  RowBuffer gathered, gathered_out;  // rows of one expert
  RowBuffer all_hidden, all_gate;    // [experts * feed_forward], where tokens meet all experts by their gates
  std::vector<float> scores;         // of attend(), for as many positions as a token sees
  std::vector<const float*> blocks;  // of attend()
  std::vector<float> distance_scores, biased_query;  // of attend() with relative positions
  RowBuffer router_scores;                           // [experts]
  int64_t choices = 1;              // experts of a row at most in the layer under way: mostly 1
  float scale = 1;                  // of the experts' output in that layer
  bool gated = false;               // whether `gates` count
  std::optional<float> fixed_gate;  // what they all are, where the dispatch says so
  std::vector<int64_t> experts;     // [rows * choices], chosen for each row; -1: none
  std::vector<float> gates;         // [rows * choices]
  std::vector<int64_t> order;       // choices by expert
  std::vector<int64_t> ends;        // [experts + 1]
  Measurements measured;            // mostly nothing
};

// x[r] = sqrt(width) * embedding[token] + positions[position]; Error for an id outside the embedding.
void embed(const Weights& weights, const StackWeights& stack, int32_t token, int64_t position, float* x);

// The same of a vector that is no token's.
void embed_vector(const Weights& weights, const StackWeights& stack, std::span<const float> embedding,
                  int64_t position, float* x);

// Turns each head of a query or key by its position (Su et al. 2021): the pairs are (i, i + head_width / 2).
void rotate(const Weights& weights, int64_t position, float* heads);

// x = norm(x + sublayer(x)), or x + sublayer(norm(x)) in a pre-norm model. sublayer(ConstRows in, Rows out).
template <typename Sublayer>
void residual(const Weights& weights, const NormWeights& norm, Rows x, Workspace& work, Sublayer&& sublayer) {
  const bool pre = weights.config.norm_position == config::NormPosition::kPre;
  const int64_t width = weights.config.width;
  const Rows output = work.output.rows(x.count);
  if (pre) {
    const Rows normed = work.normed.rows(x.count);
    normalise(norm, x, normed);
    sublayer(normed, output);
  } else {
    sublayer(x, output);
  }
  add(output, width, x);
  if (!pre) normalise(norm, x, x);
}

// mean[i] = the mean over x's rows of their first `width` values.
void mean_of_rows(ConstRows x, int64_t width, float* mean);

// Passes rows of x through the experts inserted behind a layer, in place: x + sum of gate * (E(x) - x).
// Choices and mode as for feed_forward().
void run_inserted(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, Rows x,
                  Workspace& work);

// What one expert of a layer answers to rows of x, row-major: its output, of an inserted one what it changes.
std::vector<float> answers_of_expert(const Weights& weights, const LayerWeights& layer, int64_t expert,
                                     ConstRows x, Workspace& work);

// The feed-forward of a layer. work.experts and work.gates hold the choices of each row, unless the layer is
// dense or the mode is ensemble: then every row meets the only expert, or the mean of all. Runs no expert
// that has no rows.
void feed_forward(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, ConstRows x,
                  Rows y, Workspace& work);

}  // namespace megin::runtime
