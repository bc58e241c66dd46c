// Normalisation of hidden states: LayerNorm (Ba et al. 2016) and RMSNorm (Zhang and Sennrich 2019).
#pragma once

#include <ATen/core/Tensor.h>

#include <string>

#include "config/model_config.h"
#include "net/forward_context.h"
#include "net/parameters.h"

namespace megin::net {

class Norm {
 public:
  // Uses prefix + "weight" and, for LayerNorm, prefix + "bias"; where experts have norms, those of `expert`.
  Norm(const ParameterMemory& parameters, const std::string& prefix, const config::ModelConfig& config,
       int64_t expert = 0);

  // x: [rows, d], fp32. Returns the same shape. Fused where it is a LayerNorm on the CPU.
  at::Tensor forward(const at::Tensor& x, Operations operations) const;

  // forward(x + dropout(h)). x, h: [rows, d].
  at::Tensor forward_residual(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                              Operations operations) const;

 private:
  bool fuses(const at::Tensor& x, Operations operations) const;

  config::NormKind kind_;
  double epsilon_;
  at::Tensor weight_;
  at::Tensor bias_;
};

// x + dropout(h), of [rows, d]: the end of a pre-norm sublayer.
at::Tensor residual_sum(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                        Operations operations);

}  // namespace megin::net
