#include "config/method.h"

namespace megin::config {

MethodTraits traits_of(Method method) {
  switch (method) {
    case Method::kDense:
      return {.has_experts = false};
    case Method::kRDrop:
      return {.passes = 2, .has_experts = false};
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
    case Method::kStableMoe:
      return {.router = RouterKind::kDistilled, .gate = Gate::kSigmoid, .balance = 0.3};
  }
  __builtin_unreachable();
}

ExpertConfig experts_of(const MethodTraits& traits, int64_t count) {
  if (!traits.has_experts || count == 1) return {};
  ExpertConfig experts;
  experts.count = count;
  experts.router = traits.router;
  experts.active = traits.active;
  experts.gate = traits.gate;
  experts.biased = traits.biased;
  return experts;
}

}  // namespace megin::config
