// For tests of routers: one over the parameters of a small model, and batches for it.
#pragma once

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "routing/router.h"

namespace megin::routing {

using config::Gate;
using config::RouterKind;

inline constexpr int64_t kWidth = 4;
inline const std::string kPrefix = "encoder.layers.0.feed_forward.";

// A router over the parameters of a small model. With an identity as its weight, the scores of a token are
// its hidden state.
struct Fixture {
  explicit Fixture(const config::ExpertConfig& experts, const config::RoutingConfig& routing_config = {})
      : model(model_of(experts)), routing(routing_config), parameters(model) {
    router = make_router(model.experts, routing, parameters, kPrefix);
    if (config::is_learned(experts.router)) weight().copy_(at::eye(experts.count, kWidth));
  }

  static config::ModelConfig model_of(config::ExpertConfig experts) {
    experts.every = 1;
    config::ModelConfig config;
    config.width = kWidth;
    config.feed_forward = 8;
    config.heads = 1;
    config.encoder_layers = config.decoder_layers = 1;
    config.source_vocabulary = config.target_vocabulary = 12;
    config.experts = experts;
    return config;
  }

  at::Tensor tensor(const std::string& name) { return parameters.get(kPrefix + "router." + name); }
  at::Tensor weight() { return tensor("weight").detach(); }

  struct Batch {
    at::Tensor hidden;
    int64_t length = 1;
    std::vector<int64_t> lengths = {};
    std::vector<int64_t> tokens = {};
    config::Stack stack = config::Stack::kEncoder;
    at::Tensor memory_mean = {};
    bool training = true;
    uint64_t update = 0;
  };
  Route route(const Batch& batch) const {
    const std::vector<uint64_t> sentences(static_cast<size_t>(batch.hidden.size(0) / batch.length), 3);
    const net::ForwardContext context{.training = batch.training, .update = batch.update};
    return router->route({.hidden = batch.hidden,
                          .sentences = sentences,
                          .length = batch.length,
                          .stack = batch.stack,
                          .context = context,
                          .lengths = batch.lengths,
                          .tokens = batch.tokens,
                          .memory_mean = batch.memory_mean});
  }

  config::ModelConfig model;
  config::RoutingConfig routing;
  net::ParameterMemory parameters;
  std::unique_ptr<Router> router;
};

inline std::vector<int64_t> experts_of(const Route& route) {
  return {route.experts.data_ptr<int64_t>(), route.experts.data_ptr<int64_t>() + route.experts.numel()};
}

inline at::Tensor rows(std::vector<float> values, int64_t width = kWidth) {
  return at::tensor(values).view({-1, width}).clone();
}

}  // namespace megin::routing
