// A layer of experts: N feed-forwards with stacked weights, and the dispatch of tokens to them along a Route.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "config/model_config.h"
#include "expert/grouped_feed_forward.h"
#include "net/feed_forward.h"
#include "routing/route.h"

namespace megin::expert {

class ExpertLayer {
 public:
  // Uses prefix + "fc1.weight" [N, f, d] and so on.
  ExpertLayer(const net::ParameterMemory& parameters, const std::string& prefix,
              const config::ModelConfig& config);

  // x: [tokens, d], fp32. Returns [tokens, d]; zero for a token without an expert. A shared expert adds its
  // output for every token. Three paths, none of which computes an expert that the route does not use:
  // uniform is the plain feed-forward of one expert for each pass; per token groups the rows by expert and
  // runs each expert that has rows on them, at a cost that grows with the rows; all runs every expert.
  // `activation` per token: its mask lies over the rows as grouped.
  at::Tensor forward(const at::Tensor& x, const routing::Route& route, const net::DropoutMask& activation,
                     net::Operations operations = {}) const;

 private:
  at::Tensor forward_routed(const at::Tensor& x, const routing::Route& route,
                            const net::DropoutMask& activation, net::Operations operations) const;
  at::Tensor forward_uniform(const at::Tensor& x, const routing::Route& route, const net::DropoutMask& mask,
                             net::Operations operations) const;
  at::Tensor forward_grouped(const at::Tensor& x, const routing::Route& route, const net::DropoutMask& mask,
                             net::Operations operations) const;
  at::Tensor forward_mean(const at::Tensor& x, net::Operations operations) const;
  at::Tensor forward_scaled(const at::Tensor& x, const at::Tensor& gates, const net::DropoutMask& mask,
                            net::Operations operations) const;
  // Whether feed-forwards have a fused form.
  bool runs_fused(const at::Tensor& x, net::Operations operations) const;

  config::Activation activation_;
  bool biases_;
  std::vector<net::FeedForward> experts_;
  std::optional<net::FeedForward> shared_;
  GroupedParameters parameters_;                     // the same tensors, as lists
  std::vector<at::Tensor> gate_weight_, gate_bias_;  // and those of gated activations
};

}  // namespace megin::expert
