// The Transformer (Vaswani et al. 2017) with dense or expert feed-forwards, as an encoder-decoder or as a
// decoder alone, a causal language model: the training side, teacher-forced. Serving the same weights is
// runtime's work.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "config/model_config.h"
#include "data/token_batch.h"
#include "net/forward_context.h"
#include "net/parameters.h"
#include "routing/random_router.h"

namespace megin::model {

struct LayerInputs;
struct RouteRecord;

// What is added to the token embeddings of each side: [passes * sentences, length, d], or undefined.
struct EmbeddingNoise {
  at::Tensor source = {}, target = {};
};

class Transformer {
 public:
  // Both vocabulary sizes must be set. Values are zero until initialised or loaded. `routing` says how
  // routers behave in training.
  explicit Transformer(const config::ModelConfig& config, const config::RoutingConfig& routing = {});
  ~Transformer();

  // Teacher-forced decoder states after the last layer, [passes * sentences * target_length, d], fp32; pass
  // by pass, sentence by sentence. A causal_lm reads of the batch only the target. In evaluation
  // context.dispatch says which experts are used. Differentiable. What routers have to say beside goes into
  // `record`, unless it is null.
  at::Tensor forward(const data::TokenBatch& batch, const net::ForwardContext& context,
                     RouteRecord* record = nullptr, const EmbeddingNoise& noise = {}) const;

  // The output projection, [target vocabulary, d]: logits are states times its transpose.
  const at::Tensor& output_weight() const;

  const config::ModelConfig& config() const { return config_; }
  net::ParameterMemory& parameters() { return parameters_; }
  const net::ParameterMemory& parameters() const { return parameters_; }

  // The expert that each layer of random experts draws in a training pass, encoder first: `unused_expert =
  // skip` needs it.
  std::vector<int64_t> drawn_experts(const net::ForwardContext& context, int64_t pass) const;

 private:
  struct Stack;

  at::Tensor run_stack(const Stack& stack, at::Tensor x, const LayerInputs& inputs) const;
  void read_source(const data::TokenBatch& batch, const at::Tensor& noise, LayerInputs& decoder_inputs) const;

  config::ModelConfig config_;
  config::RoutingConfig routing_;
  net::ParameterMemory parameters_;
  routing::RandomRouter router_;
  std::unique_ptr<Stack> encoder_;  // none in a causal_lm
  std::unique_ptr<Stack> decoder_;
  at::Tensor output_weight_;
};

}  // namespace megin::model
