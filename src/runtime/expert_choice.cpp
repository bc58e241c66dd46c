#include "runtime/expert_choice.h"

#include <algorithm>
#include <cmath>

#include "matrix/highest.h"

namespace megin::runtime {
namespace {

float sigmoid(float x) {
  return 1.0F / (1.0F + std::exp(-x));
}

// values = softmax(values).
void softmax(std::span<float> values) {
  const float top = *std::ranges::max_element(values);
  float sum = 0;
  for (float& value : values) sum += value = std::exp(value - top);
  for (float& value : values) value /= sum;
}

// What the outputs of the chosen experts are multiplied by (config::Gate). `shares` are the softmax of all
// scores, which the softmax gate takes.
void fill_gates(config::Gate gate, std::span<const float> scores, std::span<const float> shares,
                std::span<const int64_t> chosen, std::span<float> gates) {
  const auto take = [&](std::span<const float> from) {
    for (size_t c = 0; c < chosen.size(); ++c) gates[c] = from[static_cast<size_t>(chosen[c])];
  };
  switch (gate) {
    case config::Gate::kSoftmax:
      return take(shares);
    case config::Gate::kSoftmaxOfChosen:
      take(scores);
      return softmax(gates);
    case config::Gate::kSigmoid: {
      take(scores);
      float sum = 0;
      for (float& value : gates) sum += value = sigmoid(value);
      if (gates.size() > 1) {
        for (float& value : gates) value /= sum;
      }
      return;
    }
    case config::Gate::kNone:
      return;
    case config::Gate::kMean:
      std::ranges::fill(gates, 1.0F / static_cast<float>(gates.size()));
      return;
  }
}

}  // namespace

bool draws_past_router(const config::ExpertConfig& experts, const config::Dispatch& dispatch) {
  return experts.count > 1 && !config::is_drawn(experts.router) &&
         dispatch.mode != config::DispatchMode::kRouter;
}

namespace {

// Experts of a token in an expert layer at most, each with a place of its own among the choices.
int64_t choices_of(const config::ExpertConfig& experts, const config::Dispatch& dispatch,
                   uint64_t expert_layer) {
  if (draws_past_router(experts, dispatch)) return 1;
  if (experts.router == config::RouterKind::kExpertChoice) return experts.count;
  if (!config::is_drawn(experts.router)) return config::active_experts(dispatch, experts, expert_layer);
  const bool draws =
      dispatch.mode != config::DispatchMode::kEnsemble && dispatch.mode != config::DispatchMode::kPath;
  return draws ? experts.active : 1;
}

}  // namespace

int64_t most_choices_of(const config::ExpertConfig& experts, const config::Dispatch& dispatch) {
  if (!config::is_elastic(experts.router) || draws_past_router(experts, dispatch)) {
    return choices_of(experts, dispatch, 0);
  }
  return config::most_active_experts(dispatch, experts);
}

bool has_gates(const config::ExpertConfig& experts, const config::Dispatch& dispatch) {
  if (dispatch.gate) return true;
  if (config::is_drawn(experts.router) && choices_of(experts, dispatch, 0) == 1) return false;
  return experts.gate != config::Gate::kNone;
}

bool meets_all(const config::ExpertConfig& experts, int64_t choices) {
  return experts.count > 1 && config::is_elastic(experts.router) && choices == experts.count;
}

void enter_expert_layer(const Weights& weights, const LayerWeights& layer, const config::Dispatch& dispatch,
                        Workspace& work) {
  work.choices = choices_of(weights.config.experts, dispatch, layer.expert_layer);
  const bool scaled = dispatch.scaled && !layer.scales.empty();
  work.scale = scaled ? layer.scales[static_cast<size_t>(work.choices) - 1] : 1.0F;
}

void draw_for_row(const Weights& weights, const config::Dispatch& dispatch, const config::TokenPlace& place,
                  int64_t row, Workspace& work) {
  const config::ExpertConfig& experts = weights.config.experts;
  const auto k = static_cast<size_t>(work.choices), at = static_cast<size_t>(row) * k;
  if (k == 1) {
    work.experts[at] = config::draw_expert(dispatch, place, experts.count);
    return;
  }
  config::draw_experts(dispatch, place, experts,
                       {.experts = {work.experts.data() + at, k}, .gates = {work.gates.data() + at, k}});
}

void choose_by_position(const LayerWeights& layer, int64_t position, int64_t row, Workspace& work) {
  const int64_t k = work.choices;
  std::copy_n(layer.router.positions.begin() + position * k, k, work.experts.begin() + row * k);
  const float share = 1.0F / static_cast<float>(k);
  std::fill_n(work.gates.begin() + row * k, k, work.fixed_gate.value_or(share));
}

void choose_by_score(const Weights& weights, const LayerWeights& layer, ConstRows x, int64_t first,
                     Workspace& work) {
  const config::ExpertConfig& config = weights.config.experts;
  const auto experts = static_cast<size_t>(config.count), k = static_cast<size_t>(work.choices);
  const Rows rows = work.router_scores.rows(x.count);
  // Of each row: the scores, their shares, and what the choice goes by.
  const Rows scores{rows.data, x.count, rows.stride};
  multiply(layer.router.weight, {}, x, scores);
  for (int64_t r = 0; r < x.count; ++r) {
    const std::span<float> score(rows.row(r), experts), share(rows.row(r) + experts, experts),
        merit(rows.row(r) + 2 * experts, experts);
    std::ranges::copy(score, share.begin());
    softmax(share);
    for (size_t e = 0; e < experts; ++e) {
      if (layer.router.bias.empty()) {
        merit[e] = score[e];
      } else {
        merit[e] =
            (config.gate == config::Gate::kSigmoid ? sigmoid(score[e]) : share[e]) + layer.router.bias[e];
      }
    }
    const size_t at = static_cast<size_t>(first + r) * k;
    const std::span<int64_t> chosen(work.experts.data() + at, k);
    matrix::choose_highest(merit, chosen);
    fill_gates(config.gate, score, share, chosen, {work.gates.data() + at, k});
    if (work.fixed_gate) std::ranges::fill(std::span(work.gates.data() + at, k), *work.fixed_gate);
  }
}

void gate_chosen(const Weights& weights, const LayerWeights& layer, ConstRows x, Workspace& work) {
  if (!work.gated) return;
  if (work.fixed_gate) {
    std::fill_n(work.gates.begin(), x.count, *work.fixed_gate);
    return;
  }
  const auto experts = static_cast<size_t>(weights.config.experts.count);
  const Rows rows = work.router_scores.rows(x.count);
  multiply(layer.router.weight, {}, x, rows);
  for (int64_t r = 0; r < x.count; ++r) {
    const std::span<float> score(rows.row(r), experts), share(rows.row(r) + experts, experts);
    std::ranges::copy(score, share.begin());
    softmax(share);
    const auto at = static_cast<size_t>(r);
    fill_gates(weights.config.experts.gate, score, share, {work.experts.data() + at, 1},
               {work.gates.data() + at, 1});
  }
}

void choose_by_symbol(const LayerWeights& layer, std::span<const int32_t> symbols, int64_t row,
                      Workspace& work) {
  const RouterWeights& router = layer.router;
  if (!router.table.empty()) {
    work.experts[static_cast<size_t>(row)] = router.table[static_cast<size_t>(symbols.back())];
    return;
  }
  const std::span<float> sums(work.router_scores.rows(1).row(0), work.ends.size() - 1);
  std::ranges::fill(sums, 0.0F);
  const size_t reach = std::min(router.kernel.size(), symbols.size());
  for (size_t back = 0; back < reach; ++back) {
    const auto symbol = static_cast<size_t>(symbols[symbols.size() - 1 - back]);
    const float* const scores = router.symbol_scores.data() + symbol * sums.size();
    for (size_t e = 0; e < sums.size(); ++e) sums[e] += router.kernel[back] * scores[e];
  }
  matrix::choose_highest(sums, {work.experts.data() + row, 1});
}

void let_experts_choose(const Weights& weights, const LayerWeights& layer, ConstRows x, int64_t first,
                        Workspace& work) {
  const int64_t count = weights.config.experts.count;
  const auto experts = static_cast<size_t>(count), length = static_cast<size_t>(x.count);
  const Rows scores = work.router_scores.rows(x.count);
  multiply(layer.router.weight, {}, x, scores);
  for (int64_t r = 0; r < x.count; ++r) softmax({scores.row(r), experts});
  std::fill_n(work.experts.begin() + first * count, x.count * count, -1);
  std::vector<float> column(length);
  std::vector<int64_t> chosen(static_cast<size_t>(config::tokens_of_expert(weights.config.experts, x.count)));
  for (int64_t e = 0; e < count; ++e) {
    for (size_t t = 0; t < length; ++t) column[t] = scores.row(static_cast<int64_t>(t))[e];
    matrix::choose_highest(column, chosen);
    for (const int64_t token : chosen) {
      const auto place = static_cast<size_t>((first + token) * count + e);
      work.experts[place] = e;
      work.gates[place] = work.fixed_gate.value_or(column[static_cast<size_t>(token)]);
    }
  }
}

}  // namespace megin::runtime
