#include "routing/router.h"

#include "routing/base_router.h"
#include "routing/distilled_router.h"
#include "routing/expert_choice_router.h"
#include "routing/hash_router.h"
#include "routing/random_router.h"
#include "routing/sentence_router.h"
#include "routing/top_k_router.h"
#include "routing/uniform_router.h"

namespace megin::routing {

std::unique_ptr<Router> make_router(const config::ExpertConfig& experts, const config::RoutingConfig& routing,
                                    const net::ParameterMemory& parameters, const std::string& prefix) {
  switch (experts.router) {
    case config::RouterKind::kRandom:
      return std::make_unique<RandomRouter>(experts.count);
    case config::RouterKind::kUniform:
      return std::make_unique<UniformRouter>(experts);
    case config::RouterKind::kTopK:
    case config::RouterKind::kFixed:
      return std::make_unique<TopKRouter>(experts, routing, parameters, prefix);
    case config::RouterKind::kSentence:
      return std::make_unique<SentenceRouter>(experts, routing, parameters, prefix);
    case config::RouterKind::kHash:
      return std::make_unique<HashRouter>(experts, routing, parameters, prefix);
    case config::RouterKind::kBase:
      return std::make_unique<BaseRouter>(experts, routing, parameters, prefix);
    case config::RouterKind::kDistilled:
      return std::make_unique<DistilledRouter>(experts, routing, parameters, prefix);
    case config::RouterKind::kExpertChoice:
      return std::make_unique<ExpertChoiceRouter>(experts, routing, parameters, prefix);
  }
  __builtin_unreachable();
}

}  // namespace megin::routing
