// How rows of tokens find their experts: as many of them as the dispatch says, drawn, looked up, or chosen by
// scores. All fill work.experts and work.gates, where feed_forward() and run_inserted() find them.
#pragma once

#include <span>

#include "runtime/sublayers.h"

namespace megin::runtime {

// The most experts of a row in any layer.
int64_t most_choices_of(const config::ExpertConfig& experts, const config::Dispatch& dispatch);

// Whether experts' outputs are multiplied by gates.
bool has_gates(const config::ExpertConfig& experts, const config::Dispatch& dispatch);

// Whether every token meets all experts, each by its gate.
bool meets_all(const config::ExpertConfig& experts, int64_t choices);

// Before any choice in an expert layer: how many experts its tokens meet, and the scale of their output.
void enter_expert_layer(const Weights& weights, const LayerWeights& layer, const config::Dispatch& dispatch,
                        Workspace& work);

// Draws the experts of row `row`, at `place`, where they are drawn.
void draw_for_row(const Weights& weights, const config::Dispatch& dispatch, const config::TokenPlace& place,
                  int64_t row, Workspace& work);

// Looks up the experts of row `row`, whose token stands at `position` of its side.
void choose_by_position(const LayerWeights& layer, int64_t position, int64_t row, Workspace& work);

// Whether experts are drawn although the model has a router.
bool draws_past_router(const config::ExpertConfig& experts, const config::Dispatch& dispatch);

// Chooses the experts of rows of x by the learned scores of a layer, as routing/top_k_router.h in evaluation:
// fills work.experts and work.gates from row `first` on.
void choose_by_score(const Weights& weights, const LayerWeights& layer, ConstRows x, int64_t first,
                     Workspace& work);

// Fills work.gates of rows of x whose expert is chosen already, one for each.
void gate_chosen(const Weights& weights, const LayerWeights& layer, ConstRows x, Workspace& work);

// Chooses the expert of row `row` by the table or the distilled router of a layer: `symbols` are those up to
// the token, its own last. Fills work.experts.
void choose_by_symbol(const LayerWeights& layer, std::span<const int32_t> symbols, int64_t row,
                      Workspace& work);

// The tokens of one sentence are chosen by the experts of a layer, as routing/expert_choice_router.h: fills
// work.experts (-1: not chosen) and work.gates of rows [first, first + x.count) with a place for each expert.
void let_experts_choose(const Weights& weights, const LayerWeights& layer, ConstRows x, int64_t first,
                        Workspace& work);

}  // namespace megin::runtime
