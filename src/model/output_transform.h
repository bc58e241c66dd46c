// What stands between the encoder of a masked_lm and its output projection: norm(act(W h + b)), the head of
// BERT and RoBERTa (Devlin et al. 2019; Liu et al. 2019).
#pragma once

#include <ATen/core/Tensor.h>

#include "config/model_config.h"
#include "net/forward_context.h"
#include "net/norm.h"
#include "net/parameters.h"

namespace megin::model {

class OutputTransform {
 public:
  // Uses output_transform.weight and so on.
  OutputTransform(const net::ParameterMemory& parameters, const config::ModelConfig& config);

  // states: [rows, d], fp32. Returns the same shape. Differentiable.
  at::Tensor forward(const at::Tensor& states, net::Operations operations) const;

 private:
  config::Activation activation_;
  at::Tensor weight_, bias_;
  net::Norm norm_;
};

}  // namespace megin::model
