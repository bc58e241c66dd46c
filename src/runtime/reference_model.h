// For tests: a Transformer as plain loops in double precision, straight from the formulas (thor
// spec 1.1, 1.5 and 3), without caches, packing or batches. Every expert of a layer is computed and then one
// is picked.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/dispatch.h"
#include "runtime/weights.h"

namespace megin::runtime {

using Matrix = std::vector<std::vector<double>>;  // [rows][columns]

class ReferenceModel {
 public:
  ReferenceModel(const config::ModelConfig& config, TensorSource tensors, config::Dispatch dispatch)
      : config_(config), tensors_(std::move(tensors)), dispatch_(std::move(dispatch)) {}

  // Log-probabilities after each of the `target` tokens, [target length][vocabulary]. A causal_lm reads no
  // source.
  Matrix log_probs(std::span<const int32_t> source, std::span<const int32_t> target, uint64_t sentence) const;

  // Of a masked_lm: the final states of `tokens`, [length][width], and the log-probabilities at their places.
  Matrix states(std::span<const int32_t> tokens, uint64_t sentence) const;
  Matrix log_probs_at(const Matrix& states) const;

  // Of a classifier, the log-probability of each class of the sentence `tokens`, both marks included.
  std::vector<double> class_log_probs(std::span<const int32_t> tokens, uint64_t sentence) const;

 private:
  struct Place {
    config::Stack stack;
    int64_t layer;
    uint64_t sentence;
    std::span<const int32_t> symbols = {};  // at the stack's input
    const Matrix* memory = nullptr;         // decoder: the encoder's output
  };

  // first: stands in place of the first token's vector; empty: nothing does.
  Matrix embed(config::Stack stack, std::span<const int32_t> tokens, std::span<const float> first = {}) const;
  Matrix output(const Matrix& states) const;  // log-probabilities
  Matrix run_stack(Matrix x, const Matrix* memory, const Place& place) const;
  Matrix decoder_states(std::span<const int32_t> source, std::span<const int32_t> target,
                        uint64_t sentence) const;
  int64_t component(const Matrix& memory) const;
  // positions: the name of the table of bucketed positions; empty: there is none.
  Matrix attention(const Matrix& queries, const Matrix& keys, const Matrix& values, bool causal,
                   const std::string& positions) const;
  int64_t bucket_of(int64_t offset, bool causal) const;
  Matrix self_attention(const Matrix& x, const std::string& prefix, bool causal) const;
  Matrix relative_attention(const Matrix& x, const std::string& prefix) const;
  Matrix cross_attention(const Matrix& x, const Matrix& memory, const std::string& prefix) const;
  Matrix feed_forward(const Matrix& x, const std::string& prefix, const Place& place) const;
  // One expert of a feed-forward of inner width f.
  Matrix run_expert(const Matrix& x, const std::string& prefix, int64_t expert, int64_t f) const;
  Matrix inserted(const Matrix& x, const std::string& prefix, const Place& place) const;
  // What each expert's output on row t of x is multiplied by; 0 where it is not chosen.
  std::vector<double> expert_weights(const Matrix& x, size_t t, const std::string& prefix,
                                     const Place& place) const;
  std::vector<double> gated_weights(const Matrix& x, size_t t, const std::string& prefix,
                                    const Place& place) const;
  // By the router; `drawn`: of that expert, whatever the router would choose.
  std::vector<double> routed_weights(const std::vector<double>& input, const std::string& prefix,
                                     std::span<const int32_t> symbols_so_far, size_t active,
                                     std::optional<size_t> drawn = {}) const;
  std::vector<double> several_drawn(const config::TokenPlace& token) const;
  std::vector<double> weights_of_position(size_t position, const std::string& prefix) const;
  Matrix scaled(Matrix y, const std::string& prefix, const Place& place) const;
  std::vector<double> taken_by(const Matrix& x, size_t t, const std::string& prefix) const;
  Matrix linear(const Matrix& x, const std::string& name, int64_t first, int64_t outputs) const;
  Matrix norm(const Matrix& x, const std::string& prefix, int64_t expert = 0) const;
  Matrix norm_by(const Matrix& x, const std::string& name, int64_t expert = 0) const;
  Matrix rotated(Matrix x) const;
  double act(double x) const;

  config::ModelConfig config_;
  TensorSource tensors_;
  config::Dispatch dispatch_;
};

}  // namespace megin::runtime
