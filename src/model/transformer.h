// The Transformer (Vaswani et al. 2017) with dense or expert feed-forwards, as an encoder-decoder, as a
// decoder alone, a causal language model, or as an encoder alone, a masked one: the training side,
// teacher-forced. Serving the same weights is runtime's work.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "config/model_config.h"
#include "data/token_batch.h"
#include "model/output_transform.h"
#include "model/segment_memory.h"
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

  // Teacher-forced decoder states after the last layer, [passes * sentences * target_length, d], fp32, over
  // the root of d with model.scale_output; pass by pass, sentence by sentence. A causal_lm reads of the batch
  // only the target. In evaluation context.dispatch says which experts are used. Differentiable. What routers
  // have to say beside goes into `record`, unless it is null. With relative positions a batch whose
  // first_position is not 0 sees what `memory` remembers of the rows before, as far back as the configuration
  // says; afterwards it remembers this batch too, and nothing else when first_position is 0. Null: each batch
  // stands alone. A masked_lm reads of the batch only the source, and the states are the encoder's, of the
  // source's shape.
  at::Tensor forward(const data::TokenBatch& batch, const net::ForwardContext& context,
                     RouteRecord* record = nullptr, const EmbeddingNoise& noise = {},
                     SegmentMemory* memory = nullptr) const;

  // The parts of forward() for a mixture, one pass.
  // The encoder's states, [sentences * source_length, d].
  at::Tensor encode(const data::TokenBatch& batch, const net::ForwardContext& context) const;
  // Decoder states, as forward() returns them, when components[i] translates sentence i.
  at::Tensor decode(const data::TokenBatch& batch, const at::Tensor& memory,
                    std::span<const int64_t> components, const net::ForwardContext& context) const;
  // log p(z|x), [sentences, components]: from the mean of the encoder's states, or uniform (Shen et al.
  // 2019).
  at::Tensor log_prior(const data::TokenBatch& batch, const at::Tensor& memory,
                       const net::ForwardContext& context) const;

  // What the output projection multiplies in place of these rows of states, [rows, d]: of a model without an
  // output transform the rows themselves.
  at::Tensor transformed(const at::Tensor& states, net::Operations operations) const;

  // The output projection, [target vocabulary, d]: logits are states times its transpose.
  const at::Tensor& output_weight() const;
  // What is added to them, [target vocabulary]; undefined without model.output_bias.
  const at::Tensor& output_bias() const { return output_bias_; }

  const config::ModelConfig& config() const { return config_; }
  net::ParameterMemory& parameters() { return parameters_; }
  const net::ParameterMemory& parameters() const { return parameters_; }

  // The expert that each layer of random experts draws in a training pass, encoder first: `unused_expert =
  // skip` needs it.
  std::vector<int64_t> drawn_experts(const net::ForwardContext& context, int64_t pass) const;

 private:
  struct Stack;

  at::Tensor run_stack(const Stack& stack, int64_t decoder, at::Tensor x, const LayerInputs& inputs) const;
  at::Tensor run_segment(at::Tensor x, LayerInputs& inputs, int64_t sentences, SegmentMemory& memory) const;
  at::Tensor run_encoder(const data::TokenBatch& batch, const net::ForwardContext& context,
                         RouteRecord* record, const at::Tensor& noise) const;
  struct DecoderRun;
  at::Tensor run_decoder(const data::TokenBatch& batch, const net::ForwardContext& context,
                         const DecoderRun& run) const;
  at::Tensor forward_mixture(const data::TokenBatch& batch, const net::ForwardContext& context) const;

  config::ModelConfig config_;
  config::RoutingConfig routing_;
  net::ParameterMemory parameters_;
  routing::RandomRouter router_;
  std::unique_ptr<Stack> encoder_;  // none in a causal_lm
  std::unique_ptr<Stack> decoder_;  // none in a masked_lm
  std::optional<OutputTransform> output_transform_;
  at::Tensor output_weight_, output_bias_;
  // What the decoder begins with: of a mixture, [components, d], or of model.begin_vector, [1, d]; undefined
  // where that is the end mark.
  at::Tensor begin_;
  at::Tensor prior_hidden_, prior_hidden_bias_, prior_output_, prior_output_bias_;  // where it is learned
};

}  // namespace megin::model
