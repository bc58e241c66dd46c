#include "model/layer.h"

#include <ATen/ATen.h>

namespace megin::model {
namespace {

std::variant<net::FeedForward, expert::ExpertLayer> make_feed_forward(const net::ParameterMemory& parameters,
                                                                      const config::ModelConfig& config,
                                                                      config::Stack stack, int64_t index) {
  const std::string prefix = store::layer_prefix(stack, index) + "feed_forward.";
  const bool replaced = config.experts.body == config::ExpertBody::kReplace;
  if (replaced && config::is_expert_layer(config, stack, index)) {
    return expert::ExpertLayer(parameters, prefix, config);
  }
  return net::FeedForward(parameters, prefix, config);
}

std::variant<net::SelfAttention, net::RelativeSelfAttention> make_self_attention(
    const net::ParameterMemory& parameters, const config::ModelConfig& config, config::Stack stack,
    int64_t index) {
  const std::string prefix = store::layer_prefix(stack, index) + "self_attention.";
  if (config::has_memory(config)) return net::RelativeSelfAttention(parameters, prefix, config);
  return net::SelfAttention(parameters, prefix, config);
}

}  // namespace

Layer::Layer(const net::ParameterMemory& parameters, const config::ModelConfig& config,
             const config::RoutingConfig& routing, config::Stack stack, int64_t index)
    : config_(config),
      stack_(stack),
      index_(index),
      self_attention_(make_self_attention(parameters, config, stack, index)),
      self_attention_norm_(parameters, store::layer_prefix(stack, index) + "self_attention.norm.", config),
      feed_forward_(make_feed_forward(parameters, config, stack, index)),
      feed_forward_norm_(parameters, store::layer_prefix(stack, index) + "feed_forward.norm.", config) {
  if (stack == config::Stack::kDecoder && config::has_encoder(config)) {
    const std::string prefix = store::layer_prefix(stack, index) + "cross_attention.";
    cross_attention_.emplace(parameters, prefix, config);
    cross_attention_norm_.emplace(parameters, prefix + "norm.", config);
  }
  if (config::has_inserted_layer(config, stack, index)) {
    inserted_.emplace(parameters, store::expert_prefix(config, stack, index), config);
  }
  if (config::is_expert_layer(config, stack, index)) {
    router_ =
        routing::make_router(config.experts, routing, parameters, store::expert_prefix(config, stack, index));
  }
}

net::DropoutMask Layer::mask(const LayerInputs& inputs, double probability,
                             net::DropoutSite::Place place) const {
  return net::dropout_mask(inputs.context, probability,
                           {.stack = stack_, .layer = static_cast<uint64_t>(index_), .place = place});
}

at::Tensor Layer::residual(const at::Tensor& x, const Sublayer& sublayer, const Body& body) const {
  const auto& [norm, mask, operations] = sublayer;
  if (config_.norm_position == config::NormPosition::kPre)
    return net::residual_sum(x, body(norm.forward(x, operations)), mask, operations);
  return norm.forward_residual(x, body(x), mask, operations);
}

at::Tensor Layer::feed_forward(const at::Tensor& x, const LayerInputs& inputs) const {
  const net::DropoutMask activation = mask(inputs, config_.activation_dropout, net::DropoutSite::kActivation);
  if (const auto* dense = std::get_if<net::FeedForward>(&feed_forward_)) {
    const double group_rate = config_.group_dropout.groups > 0 ? config_.group_dropout.rate : 0.0;
    return dense->forward(x, activation, inputs.context.operations,
                          {.groups = mask(inputs, group_rate, net::DropoutSite::kUnitGroups),
                           .concrete = mask(inputs, config_.concrete_dropout, net::DropoutSite::kConcrete)});
  }
  return std::get<expert::ExpertLayer>(feed_forward_)
      .forward(x, route(x, inputs), activation, inputs.context.operations);
}

at::Tensor Layer::inserted(const at::Tensor& x, const LayerInputs& inputs) const {
  const expert::ResidualDropout dropout{
      .output = mask(inputs, config_.dropout, net::DropoutSite::kInserted),
      .activation = mask(inputs, config_.activation_dropout, net::DropoutSite::kInsertedActivation)};
  if (!router_) return inserted_->forward_one(x, 0, dropout, inputs.context.operations);
  return inserted_->forward(x, route(x, inputs), dropout, inputs.context.operations);
}

routing::Route Layer::route(const at::Tensor& x, const LayerInputs& inputs) const {
  routing::Route route = router_->route({.hidden = x,
                                         .sentences = inputs.sentences,
                                         .length = inputs.shape.length,
                                         .first_position = inputs.first_position,
                                         .stack = stack_,
                                         .layer = index_,
                                         .expert_layer = config::expert_layer_number(config_, stack_, index_),
                                         .context = inputs.context,
                                         .lengths = inputs.lengths,
                                         .tokens = inputs.tokens,
                                         .memory_mean = inputs.memory_mean});
  if (inputs.record != nullptr) {
    inputs.record->layers.push_back({stack_, index_, route.losses, route.statistics, route.experts});
  }
  return route;
}

at::Tensor Layer::self_attention(const at::Tensor& x, const LayerInputs& inputs,
                                 const at::Tensor& past) const {
  const net::Operations operations = inputs.context.operations;
  const net::DropoutMask probabilities =
      mask(inputs, config_.attention_dropout, net::DropoutSite::kSelfAttentionProbabilities);
  if (const auto* plain = std::get_if<net::SelfAttention>(&self_attention_)) {
    return plain->forward(
        {x, inputs.shape, inputs.self_mask, inputs.self_fused, operations, inputs.position_bias},
        probabilities);
  }
  at::Tensor before = past;
  if (past.defined() && config_.norm_position == config::NormPosition::kPre) {
    before = self_attention_norm_.forward(past.view({-1, past.size(2)}), operations).view(past.sizes());
  }
  return std::get<net::RelativeSelfAttention>(self_attention_)
      .forward({x, inputs.shape, before, inputs.distances, operations}, probabilities);
}

at::Tensor Layer::forward(const at::Tensor& input, const LayerInputs& inputs, const at::Tensor& past) const {
  using Site = net::DropoutSite;
  const net::Operations operations = inputs.context.operations;
  at::Tensor x =
      residual(input, {self_attention_norm_, mask(inputs, config_.dropout, Site::kSelfAttention), operations},
               [&](const at::Tensor& h) { return self_attention(h, inputs, past); });
  if (cross_attention_) {
    x = residual(x,
                 {*cross_attention_norm_, mask(inputs, config_.dropout, Site::kCrossAttention), operations},
                 [&](const at::Tensor& h) {
                   return cross_attention_->forward(
                       {h, inputs.shape, inputs.memory, inputs.memory_length, inputs.memory_mask,
                        inputs.memory_fused, operations},
                       mask(inputs, config_.attention_dropout, Site::kCrossAttentionProbabilities));
                 });
  }
  x = residual(x, {feed_forward_norm_, mask(inputs, config_.dropout, Site::kFeedForward), operations},
               [&](const at::Tensor& h) { return feed_forward(h, inputs); });
  return inserted_ ? inserted(x, inputs) : x;
}

}  // namespace megin::model
