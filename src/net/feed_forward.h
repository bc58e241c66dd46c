// The position-wise feed-forward: fc2(dropout(act(fc1 x))), or its gated form fc2(dropout(act(gate x) * fc1
// x)) (Shazeer 2020). An expert is one of these (THOR, Zuo et al. 2022).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "config/model_config.h"
#include "net/forward_context.h"
#include "net/parameters.h"

namespace megin::net {

// act(x), or the gate's part of a gated one. May change x, which nothing else needs.
at::Tensor activate(at::Tensor x, config::Activation activation);

// Dropout of a dense feed-forward's hidden units beside `activation`; see unit_dropout.h.
struct UnitDropout {
  DropoutMask groups = {};    // of whole groups
  DropoutMask concrete = {};  // at the learned rate
};

class FeedForward {
 public:
  // Uses prefix + "fc1.weight" and so on; of an expert layer, the tensors of that expert.
  FeedForward(const ParameterMemory& parameters, const std::string& prefix, const config::ModelConfig& config,
              int64_t expert = 0);

  // x: [rows, d], fp32; activation: the dropout after the activation. Returns [rows, d], without residual.
  // A mask of `units` that drops must be of a model that has such dropout (group_dropout, concrete_dropout).
  at::Tensor forward(const at::Tensor& x, const DropoutMask& activation, Operations operations = {},
                     const UnitDropout& units = {}) const;

 private:
  config::Activation activation_;
  at::Tensor fc1_weight_, fc1_bias_;  // biases are undefined in a model without
  at::Tensor gate_weight_, gate_bias_;
  at::Tensor fc2_weight_, fc2_bias_;
  int64_t groups_;
  at::Tensor rate_logit_;  // [1]; undefined without concrete dropout
};

}  // namespace megin::net
