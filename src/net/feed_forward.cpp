#include "net/feed_forward.h"

#include <ATen/ATen.h>

#include "net/dropout.h"
#include "net/fused_feed_forward.h"
#include "net/linear.h"
#include "net/unit_dropout.h"

namespace megin::net {

at::Tensor activate(at::Tensor x, config::Activation activation) {
  switch (activation) {
    case config::Activation::kRelu:
    case config::Activation::kReglu:
      return at::relu_(x);
    case config::Activation::kGelu:
    case config::Activation::kGeglu:
      return at::gelu(x);
    case config::Activation::kGeluTanh:
    case config::Activation::kGegluTanh:
      return at::gelu(x, "tanh");
    case config::Activation::kSilu:
    case config::Activation::kSwiglu:
      return at::silu(x);
  }
  __builtin_unreachable();
}

FeedForward::FeedForward(const ParameterMemory& parameters, const std::string& prefix,
                         const config::ModelConfig& config, int64_t expert)
    : activation_(config.activation),
      fc1_weight_(parameters.get(prefix + "fc1.weight", expert)),
      fc1_bias_(parameters.get_if(prefix + "fc1.bias", expert)),
      fc2_weight_(parameters.get(prefix + "fc2.weight", expert)),
      fc2_bias_(parameters.get_if(prefix + "fc2.bias", expert)),
      groups_(config.group_dropout.groups) {
  if (config.concrete_dropout > 0) rate_logit_ = parameters.get(prefix + "dropout.logit");
  if (config::is_gated(activation_)) {
    gate_weight_ = parameters.get(prefix + "gate.weight", expert);
    gate_bias_ = parameters.get_if(prefix + "gate.bias", expert);
  }
}

at::Tensor FeedForward::forward(const at::Tensor& x, const DropoutMask& activation, Operations operations,
                                const UnitDropout& units) const {
  const bool drops_units = units.groups.probability > 0 || units.concrete.probability > 0;
  if (!drops_units && activation_ == config::Activation::kRelu &&
      operations.fused(config::FusedPart::kFeedForward) && x.is_cpu()) {
    return fused_feed_forward(x, {fc1_weight_, fc1_bias_, fc2_weight_, fc2_bias_}, activation);
  }
  at::Tensor inner = linear(x, fc1_weight_, fc1_bias_, operations);
  if (config::is_gated(activation_)) {
    inner = activate(linear(x, gate_weight_, gate_bias_, operations), activation_) * inner;
  } else {
    inner = activate(inner, activation_);
  }
  inner = dropout(inner, activation);
  if (units.groups.probability > 0) inner = drop_groups(inner, groups_, units.groups);
  if (units.concrete.probability > 0) inner = concrete_dropout(inner, rate_logit_, units.concrete);
  return linear(inner, fc2_weight_, fc2_bias_, operations);
}

}  // namespace megin::net
