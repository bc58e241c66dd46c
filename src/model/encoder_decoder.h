// The encoder-decoder Transformer (Vaswani et al. 2017) with dense or expert feed-forwards: the training
// side, teacher-forced. Serving the same weights is runtime's work.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "config/model_config.h"
#include "data/translation_batch.h"
#include "net/forward_context.h"
#include "net/parameters.h"
#include "routing/random_router.h"

namespace megin::model {

struct LayerInputs;
struct RouteRecord;

class EncoderDecoder {
 public:
  // Both vocabulary sizes must be set. Values are zero until initialised or loaded. `routing` says how
  // routers behave in training.
  explicit EncoderDecoder(const config::ModelConfig& config, const config::RoutingConfig& routing = {});
  ~EncoderDecoder();

  // Teacher-forced decoder states after the last layer, [passes * sentences * target_length, d], fp32; pass
  // by pass, sentence by sentence. In evaluation context.dispatch says which experts are used.
  // Differentiable. What routers have to say beside goes into `record`, unless it is null.
  at::Tensor forward(const data::TranslationBatch& batch, const net::ForwardContext& context,
                     RouteRecord* record = nullptr) const;

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

  config::ModelConfig config_;
  config::RoutingConfig routing_;
  net::ParameterMemory parameters_;
  routing::RandomRouter router_;
  std::unique_ptr<Stack> encoder_;
  std::unique_ptr<Stack> decoder_;
  at::Tensor output_weight_;
};

}  // namespace megin::model
