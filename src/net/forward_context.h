// What a forward pass is told beside its batch: whether it trains, which passes over the batch run together,
// and the key from which every random draw of it is hashed.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/random.h"
#include "config/dispatch.h"
#include "config/train_config.h"
#include "net/operations.h"

namespace megin::net {

// The passes of a two-pass objective may run as one batch: all tensors then have `passes` equal groups of
// rows, first those of pass `first_pass`, then those of the next. Running the passes one by one gives the
// same values.
struct ForwardContext {
  bool training = false;
  Operations operations = {};
  uint64_t seed = 1;
  uint64_t update = 0;       // completed updates
  uint64_t micro_batch = 0;  // within the update
  int64_t first_pass = 0;
  int64_t passes = 1;
  bool shared_dropout = false;                     // one mask for all passes
  config::Pair pair = config::Pair::kIndependent;  // training: may two passes draw the same expert
  config::Dispatch dispatch = {};                  // evaluation: which expert a token meets
  // Training: experts of a token while their number changes, as config::Dispatch has it; none: as the model.
  std::vector<int64_t> active = {};
};

// Where a dropout mask is drawn: a name for its key.
struct DropoutSite {
  config::Stack stack = config::Stack::kEncoder;
  uint64_t layer = 0;
  enum Place : uint64_t {
    kEmbedding,
    kSelfAttention,
    kSelfAttentionProbabilities,
    kCrossAttention,
    kCrossAttentionProbabilities,
    kFeedForward,
    kActivation,
    kInserted,
    kInsertedActivation,
    kPrior,
    kDistances,
    kFinal,
    kUnitGroups,
    kConcrete,
    kClassifier,
  } place = kEmbedding;
};

// The mask of one dropout: a key for each pass of the batch, and the probability that an element is dropped.
struct DropoutMask {
  double probability = 0;  // 0: the identity
  int64_t passes = 1;
  std::array<uint64_t, 2> keys{};  // element i of pass p is dropped by draw i of keys[p]
};

inline DropoutMask dropout_mask(const ForwardContext& context, double probability, const DropoutSite& site) {
  DropoutMask mask{.probability = context.training ? probability : 0.0, .passes = context.passes, .keys = {}};
  for (int64_t p = 0; p < context.passes; ++p) {
    const uint64_t pass = context.shared_dropout ? 0 : static_cast<uint64_t>(context.first_pass + p);
    mask.keys[p] = draw_key(context.seed, Purpose::kDropout,
                            {context.update, context.micro_batch, pass, static_cast<uint64_t>(site.stack),
                             site.layer, static_cast<uint64_t>(site.place)});
  }
  return mask;
}

// The part of a mask that concerns one pass.
inline DropoutMask only_pass(const DropoutMask& mask, int64_t pass) {
  return {.probability = mask.probability, .passes = 1, .keys = {mask.keys[pass], 0}};
}

}  // namespace megin::net
