// Dispatch: which expert a token meets when a model of random experts is evaluated or serves (THOR, Zuo et
// al. 2022, section 3.3; `position` is what their published code does). One definition for training's
// validation, evaluation and serving.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/model_config.h"

namespace megin::config {

// sentence  one draw per sentence, stack and layer, kept over all its tokens, steps and beams
// token     every token draws anew (beams of a sentence share the draw of a position)
// position  one draw per position for the whole batch: depends on what else is in the batch
// batch     one draw per layer for the whole call
// ensemble  the mean of all experts' outputs; costs as much as all of them
// router    the model's own router, of a model that has one; as k=8 with that many experts a token, where it
//           may take any number. Of a mixture: the component that is likeliest for a source
// path      the given expert everywhere, or one per expert layer: path:1 or path:0,1,1,0 (encoder layers
//           first). Of a mixture: the given component
enum class DispatchMode { kSentence, kToken, kPosition, kBatch, kEnsemble, kPath, kRouter };
constexpr auto enum_names(DispatchMode) {
  return std::array<std::string_view, 7>{"sentence", "token", "position", "batch",
                                         "ensemble", "path",  "router"};
}

struct Dispatch {
  DispatchMode mode = DispatchMode::kSentence;
  uint64_t seed = 1;               // changes the draw
  std::vector<int64_t> path = {};  // of DispatchMode::kPath only: one expert, or one per expert layer
  int64_t active = 0;  // of DispatchMode::kRouter only: experts of a token; 0: as the model has it
  // What experts' outputs are multiplied by; nothing: what the model's gate says of the expert that a token
  // meets (which, where experts are drawn beside a learned router, is not the one that it would choose).
  std::optional<float> gate = {};
};

// "sentence", "token", ..., "path:0,1", "k=8". Throws UsageError listing the forms.
Dispatch parse_dispatch(std::string_view text, uint64_t seed);
std::string to_string(const Dispatch& dispatch);

// Where a token is, for a draw.
struct TokenPlace {
  uint64_t sentence = 0;  // number of the sentence in its input, from 0: not its row in a batch
  uint64_t position = 0;  // of the token in its side, from 0
  Stack stack = Stack::kEncoder;
  uint64_t layer = 0;         // index in its stack, from 0, dense layers counted
  uint64_t expert_layer = 0;  // number of the expert layer over both stacks, encoder first: indexes a path
};

// The expert in {0, ..., experts - 1} that the dispatch gives to a token. Pure. Not for kEnsemble and
// kRouter.
int64_t draw_expert(const Dispatch& dispatch, const TokenPlace& place, int64_t experts);

// The mode that `text` names; for "auto" the one that is usual for the model: `drawn` where experts are
// drawn, of a mixture without a learned prior the first component, else router.
Dispatch parse_dispatch_or_auto(std::string_view text, uint64_t seed, const ModelConfig& model,
                                DispatchMode drawn);

// Experts of a token by the router of a model: those asked for, or as it was made.
constexpr int64_t active_experts(const Dispatch& dispatch, const ExpertConfig& experts) {
  return dispatch.active > 0 ? dispatch.active : experts.active;
}

// Whether experts may be drawn past the router of a model: each token meets one, which it chooses itself.
bool may_be_drawn_past(const ExpertConfig& experts);

// Throws UsageError when a path names an expert or a number of layers that the model does not have, when the
// model has no router and the mode is router, when it has one and cannot do without, or when that cannot take
// so many. A dense model accepts every mode but a path other than 0.
void check(const Dispatch& dispatch, const ModelConfig& model);

}  // namespace megin::config
