#include "net/feed_forward.h"

#include <ATen/ATen.h>

#include "net/dropout.h"

namespace megin::net {
namespace {

// May change x, which nothing else needs.
at::Tensor activate(at::Tensor x, config::Activation activation) {
  switch (activation) {
    case config::Activation::kRelu:
    case config::Activation::kReglu:
      return at::relu_(x);
    case config::Activation::kGelu:
    case config::Activation::kGeglu:
      return at::gelu(x);
    case config::Activation::kSilu:
    case config::Activation::kSwiglu:
      return at::silu(x);
  }
  __builtin_unreachable();
}

}  // namespace

FeedForward::FeedForward(const ParameterMemory& parameters, const std::string& prefix,
                         const config::ModelConfig& config, int64_t expert)
    : activation_(config.activation),
      fc1_weight_(parameters.get(prefix + "fc1.weight", expert)),
      fc1_bias_(parameters.get(prefix + "fc1.bias", expert)),
      fc2_weight_(parameters.get(prefix + "fc2.weight", expert)),
      fc2_bias_(parameters.get(prefix + "fc2.bias", expert)) {
  if (config::is_gated(activation_)) {
    gate_weight_ = parameters.get(prefix + "gate.weight", expert);
    gate_bias_ = parameters.get(prefix + "gate.bias", expert);
  }
}

at::Tensor FeedForward::forward(const at::Tensor& x, const DropoutMask& activation) const {
  at::Tensor inner = at::linear(x, fc1_weight_, fc1_bias_);
  if (config::is_gated(activation_)) {
    inner = activate(at::linear(x, gate_weight_, gate_bias_), activation_) * inner;
  } else {
    inner = activate(inner, activation_);
  }
  return at::linear(dropout(inner, activation), fc2_weight_, fc2_bias_);
}

}  // namespace megin::net
