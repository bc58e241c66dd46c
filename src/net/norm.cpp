#include "net/norm.h"

#include <ATen/ATen.h>

#include "net/dropout.h"
#include "net/fused_residual.h"

namespace megin::net {

Norm::Norm(const ParameterMemory& parameters, const std::string& prefix, const config::ModelConfig& config,
           int64_t expert)
    : kind_(config.norm), epsilon_(config.norm_epsilon), weight_(parameters.get(prefix + "weight", expert)) {
  if (kind_ == config::NormKind::kLayerNorm) bias_ = parameters.get(prefix + "bias", expert);
}

bool Norm::fuses(const at::Tensor& x, Operations operations) const {
  return operations.fused(config::FusedPart::kResidual) && kind_ == config::NormKind::kLayerNorm &&
         x.is_cpu();
}

at::Tensor Norm::forward(const at::Tensor& x, Operations operations) const {
  if (fuses(x, operations)) return fused_norm(x, {weight_, bias_, epsilon_});
  switch (kind_) {
    case config::NormKind::kLayerNorm:
      return at::layer_norm(x, {x.size(-1)}, weight_, bias_, epsilon_);
    case config::NormKind::kRmsNorm:
      return x * at::rsqrt(at::mean(at::square(x), -1, true) + epsilon_) * weight_;
  }
  __builtin_unreachable();
}

at::Tensor Norm::forward_residual(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                                  Operations operations) const {
  if (fuses(x, operations)) return fused_residual_norm(x, h, mask, {weight_, bias_, epsilon_});
  return forward(residual_sum(x, h, mask, operations), operations);
}

at::Tensor residual_sum(const at::Tensor& x, const at::Tensor& h, const DropoutMask& mask,
                        Operations operations) {
  if (operations.fused(config::FusedPart::kResidual) && x.is_cpu()) return fused_residual(x, h, mask);
  return x + dropout(h, mask);
}

}  // namespace megin::net
