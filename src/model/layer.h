// One layer of the encoder or the decoder: attention, cross-attention in the decoder of an encoder-decoder,
// feed-forward or experts, each a residual sublayer with its norm after (post) or before (pre) it; and behind
// them the layer of residual experts, where one is inserted.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "expert/expert_layer.h"
#include "expert/residual_experts.h"
#include "net/attention.h"
#include "net/feed_forward.h"
#include "net/forward_context.h"
#include "net/norm.h"
#include "net/relative_attention.h"
#include "routing/router.h"

namespace megin::model {

// What the routers of a forward pass have to say beside their routes, in the order of the expert layers.
struct RouteRecord {
  struct OfLayer {
    config::Stack stack = config::Stack::kEncoder;
    int64_t layer = 0;
    routing::RouteLosses losses;
    routing::RouteStatistics statistics;
    at::Tensor experts = {};  // as routing::Route has them
  };
  std::vector<OfLayer> layers;
};

// What the layers of a stack are given beside their hidden states.
struct LayerInputs {
  const net::ForwardContext& context;
  net::BatchShape shape;      // sentences (of all passes) and positions
  at::Tensor self_mask = {};  // added to self-attention's scores
  std::shared_ptr<const net::FusedAttentionShape> self_fused = nullptr;  // the same as lengths; null: plain
  std::span<const uint64_t> sentences;                                   // numbers of one pass's sentences
  at::Tensor memory = {};  // decoder: the encoder's output, [sentences * memory_length, d]
  int64_t memory_length = 0;
  at::Tensor memory_mask = {};
  std::shared_ptr<const net::FusedAttentionShape> memory_fused = nullptr;
  std::span<const int64_t> lengths = {};  // [sentences] tokens of each, of all passes
  std::span<const int64_t> tokens = {};   // [sentences * length] symbols at the stack's input
  int64_t first_position = 0;             // of the first column in its text
  at::Tensor position_bias = {};          // bucketed positions: as SelfAttention::Inputs has it
  at::Tensor distances = {};              // relative positions: as RelativeSelfAttention::Inputs has them
  at::Tensor memory_mean = {};            // [sentences, d], decoder: mean of the encoder's output
  RouteRecord* record = nullptr;          // where routes leave their losses and statistics; null: nowhere
};

class Layer {
 public:
  Layer(const net::ParameterMemory& parameters, const config::ModelConfig& config,
        const config::RoutingConfig& routing, config::Stack stack, int64_t index);

  // x: [sentences * length, d]; past: [sentences, remembered, d], what this layer was given for the tokens
  // before, or undefined. Returns the shape of x.
  at::Tensor forward(const at::Tensor& x, const LayerInputs& inputs, const at::Tensor& past = {}) const;

 private:
  using Body = std::function<at::Tensor(const at::Tensor&)>;
  struct Sublayer {
    const net::Norm& norm;
    net::DropoutMask mask;
    net::Operations operations = {};
  };
  at::Tensor residual(const at::Tensor& x, const Sublayer& sublayer, const Body& body) const;
  at::Tensor self_attention(const at::Tensor& x, const LayerInputs& inputs, const at::Tensor& past) const;
  at::Tensor feed_forward(const at::Tensor& x, const LayerInputs& inputs) const;
  at::Tensor inserted(const at::Tensor& x, const LayerInputs& inputs) const;
  routing::Route route(const at::Tensor& x, const LayerInputs& inputs) const;
  net::DropoutMask mask(const LayerInputs& inputs, double probability, net::DropoutSite::Place place) const;

  const config::ModelConfig& config_;
  config::Stack stack_;
  int64_t index_;
  std::variant<net::SelfAttention, net::RelativeSelfAttention> self_attention_;
  net::Norm self_attention_norm_;
  std::optional<net::CrossAttention> cross_attention_;
  std::optional<net::Norm> cross_attention_norm_;
  std::variant<net::FeedForward, expert::ExpertLayer> feed_forward_;
  net::Norm feed_forward_norm_;
  std::optional<expert::ResidualExperts> inserted_;
  std::unique_ptr<routing::Router> router_;  // of an expert layer, replaced or inserted
};

}  // namespace megin::model
