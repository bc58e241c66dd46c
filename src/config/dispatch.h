// Dispatch: which expert a token meets when a model of random experts is evaluated or serves (THOR, Zuo et
// al. 2022, section 3.3; `position` is what their published code does). One definition for training's
// validation, evaluation and serving.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
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
//           may take any number, as k=8,4,4,8 with so many in each expert layer (encoder layers first). Of a
//           mixture: the component that is likeliest for a source
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
  // Of DispatchMode::kRouter only: experts of a token, in all expert layers or one number for each; none: as
  // the model has it.
  std::vector<int64_t> active = {};
  bool scaled = true;  // use the model's scales, where it has them, with the number of experts asked for
  // What experts' outputs are multiplied by; nothing: what the model's gate says of the expert that a token
  // meets (which, where experts are drawn beside a learned router, is not the one that it would choose).
  std::optional<float> gate = {};
};

// "sentence", "token", ..., "path:0,1", "k=8", "k=8,4". Throws UsageError listing the forms.
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

// The number for expert layer `expert_layer` (over both stacks, encoder first) in a list that has one for all
// of them or one for each; `otherwise` of an empty list.
int64_t number_of_layer(std::span<const int64_t> numbers, uint64_t expert_layer, int64_t otherwise);

// Experts of a token by the router of a model: those asked for, or as it was made.
int64_t active_experts(const Dispatch& dispatch, const ExpertConfig& experts, uint64_t expert_layer);

// The most of them in any expert layer.
int64_t most_active_experts(const Dispatch& dispatch, const ExpertConfig& experts);

// `k` experts for a token of the router uniform, by `score` (of expert e: a draw U(0, 1)): the highest, in
// their order. Fills `chosen` (its size is k) and what their outputs are multiplied by.
struct DrawnChoice {
  std::span<int64_t> experts;
  std::span<float> gates;
};
void draw_experts(uint64_t key, uint64_t index, const ExpertConfig& experts, DrawnChoice choice);

// The same where the dispatch says how: not for kEnsemble, kPath and kRouter.
void draw_experts(const Dispatch& dispatch, const TokenPlace& place, const ExpertConfig& experts,
                  DrawnChoice choice);

// Whether experts may be drawn past the router of a model: each token meets one, which it chooses itself.
bool may_be_drawn_past(const ExpertConfig& experts);

// Throws UsageError when a path names an expert or a number of layers that the model does not have, when the
// model has no router and the mode is router, when it has one and cannot do without, or when that cannot take
// so many. A dense model accepts every mode but a path other than 0.
void check(const Dispatch& dispatch, const ModelConfig& model);

}  // namespace megin::config
