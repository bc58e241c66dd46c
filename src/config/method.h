// What a training method is made of: the values of the keys that a recipe does not give.
#pragma once

#include "config/model_config.h"
#include "config/train_config.h"

namespace megin::config {

// Of noise on embeddings (thor spec 2.4 and 2.5): fairseq's R3F, and SMART's authors' NMT code.
inline constexpr double kNoiseSize = 1e-5, kAdversarialSize = 0.3;

struct MethodTraits {
  int64_t passes = 1;
  bool shared_dropout = false;
  bool has_experts = true;
  RouterKind router = RouterKind::kRandom;
  int64_t active = 1;
  bool grows = false;  // up to all experts a token, by a linear schedule; `active` is not read
  Gate gate = Gate::kNone;
  HashTable hash = HashTable::kBalanced;
  bool biased = false;
  double balance = 0.0;           // weight of the balance loss
  int64_t dropout_groups = 0;     // of hidden units
  double concrete_dropout = 0.0;  // rate that it begins with
  double alpha = 5.0;             // of the consistency
  double weight_second = 1.0;
  bool fixed_first = false;
  ConsistencyUnit consistency_unit = ConsistencyUnit::kToken;
  PerturbationConfig perturbation = {};
  bool is_mixture = false;  // of `mixture`, two components if none are given
  MixtureKind mixture = MixtureKind::kBegin;
};

MethodTraits traits_of(Method method);

// `count` experts as the method has them, everything else as it is by default; none where it has none.
ExpertConfig experts_of(const MethodTraits& traits, int64_t count);

// A mixture of `count` components as the method has it; none where it has none.
MixtureConfig mixture_of(const MethodTraits& traits, int64_t count);

}  // namespace megin::config
