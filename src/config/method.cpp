#include "config/method.h"

namespace megin::config {

MethodTraits traits_of(Method method) {
  switch (method) {
    case Method::kDense:
      return {.has_experts = false};
    case Method::kDenseGroupDropout:  // as many groups as SMoE-Dropout has experts
      return {.has_experts = false, .dropout_groups = 16};
    case Method::kDenseConcreteDropout:  // begins as the code of Gal et al. 2017
      return {.has_experts = false, .concrete_dropout = 0.1};
    case Method::kRDrop:
      return {.passes = 2, .has_experts = false};
    case Method::kR3f:  // fairseq's defaults (thor spec 2.5)
      return {.passes = 2,
              .has_experts = false,
              .alpha = 1.0,
              .weight_second = 0.0,
              .consistency_unit = ConsistencyUnit::kFairseq,
              .perturbation = {.kind = Perturbation::kNormal}};
    case Method::kSmart:  // thor spec 2.4
      return {.passes = 2,
              .has_experts = false,
              .alpha = 1.0,
              .weight_second = 0.0,
              .fixed_first = true,
              .perturbation = {.kind = Perturbation::kAdversarial, .size = kAdversarialSize, .target = true}};
    case Method::kThor:
      return {.passes = 2};
    case Method::kThorSharedDropout:
      return {.passes = 2, .shared_dropout = true};
    case Method::kSwitch:
      return {.router = RouterKind::kTopK, .gate = Gate::kSoftmax, .balance = 0.01};
    case Method::kSwitchSentence:
      return {.router = RouterKind::kSentence, .gate = Gate::kSoftmax, .balance = 0.01};
    case Method::kSwitchRandom:
      return {.router = RouterKind::kUniform};
    case Method::kTopK:
      return {.router = RouterKind::kTopK, .active = 2, .gate = Gate::kSoftmaxOfChosen, .balance = 0.01};
    case Method::kLossFree:
      return {.router = RouterKind::kTopK, .active = 2, .gate = Gate::kSigmoid, .biased = true};
    case Method::kHash:
      return {.router = RouterKind::kHash};
    case Method::kBase:
      return {.router = RouterKind::kBase, .gate = Gate::kSigmoid};
    case Method::kExpertChoice:
      return {.router = RouterKind::kExpertChoice, .active = 2, .gate = Gate::kSoftmax};
    case Method::kStableMoe:
      return {.router = RouterKind::kDistilled, .gate = Gate::kSigmoid, .balance = 0.3};
    case Method::kSmoeDropout:
      return {.router = RouterKind::kFixed, .grows = true, .gate = Gate::kSoftmaxOfChosen};
    case Method::kHashPosition:
      return {.router = RouterKind::kHash, .active = 2, .gate = Gate::kMean, .hash = HashTable::kPosition};
    case Method::kRandomExperts:
      return {.router = RouterKind::kUniform, .active = 2, .gate = Gate::kSoftmaxOfChosen};
    case Method::kMoeTok:
      return {.has_experts = false, .is_mixture = true};
    case Method::kMoeDec:
      return {.has_experts = false, .is_mixture = true, .mixture = MixtureKind::kDecoder};
  }
  __builtin_unreachable();
}

ExpertConfig experts_of(const MethodTraits& traits, int64_t count) {
  if (!traits.has_experts || count == 1) return {};
  ExpertConfig experts;
  experts.count = count;
  experts.router = traits.router;
  experts.active = traits.grows ? count : traits.active;
  experts.gate = traits.gate;
  experts.biased = traits.biased;
  experts.hash = traits.hash;
  return experts;
}

MixtureConfig mixture_of(const MethodTraits& traits, int64_t count) {
  if (!traits.is_mixture) return {};
  return {.components = count, .kind = traits.mixture};
}

}  // namespace megin::config
