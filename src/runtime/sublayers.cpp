#include "runtime/sublayers.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "matrix/highest.h"

namespace megin::runtime {
namespace {

// One expert on rows of x.
void run_expert(const config::ModelConfig& config, const Experts& experts, int64_t number, ConstRows x,
                Rows y, Workspace& work) {
  const FeedForward& expert = experts[number];
  const Rows hidden = work.hidden.rows(x.count);
  const Rows gate = work.gate.rows(x.count);
  expert.fc1(x, hidden);
  if (config::is_gated(config.activation)) expert.gate(x, gate);
  activate(config.activation, experts.feed_forward(), gate, hidden);
  expert.fc2(hidden, y);
}

void run_ensemble(const config::ModelConfig& config, const Experts& experts, ConstRows x, Rows y,
                  Workspace& work) {
  run_expert(config, experts, 0, x, y, work);
  const Rows one = work.gathered_out.rows(x.count);
  for (int64_t e = 1; e < experts.count(); ++e) {
    run_expert(config, experts, e, x, one, work);
    add(one, config.width, y);
  }
  scale(1.0F / static_cast<float>(experts.count()), config.width, y);
}

// Fills work.order with the choices of an expert, by expert, and work.ends: those of expert e stand at
// [ends[e], ends[e + 1]).
void sort_by_expert(int64_t choices, int64_t experts, Workspace& work) {
  work.ends.assign(static_cast<size_t>(experts) + 1, 0);
  for (int64_t c = 0; c < choices; ++c) {
    if (work.experts[c] >= 0) ++work.ends[work.experts[c] + 1];
  }
  for (int64_t e = 0; e < experts; ++e) work.ends[e + 1] += work.ends[e];
  // Placing a choice moves its expert's start forward; shifted back below.
  for (int64_t c = 0; c < choices; ++c) {
    if (work.experts[c] >= 0) work.order[work.ends[work.experts[c]]++] = c;
  }
  for (int64_t e = experts; e > 0; --e) work.ends[e] = work.ends[e - 1];
  work.ends[0] = 0;
}

// y = gate * y, or y += gate * from.
void scale_row(float gate, int64_t width, float* y) {
  for (int64_t i = 0; i < width; ++i) y[i] *= gate;
}
void add_scaled_row(const float* from, float gate, int64_t width, float* y) {
  for (int64_t i = 0; i < width; ++i) y[i] += gate * from[i];
}

void run_chosen(const config::ModelConfig& config, const Experts& experts, ConstRows x, Rows y,
                Workspace& work) {
  const int64_t k = work.choices, width = config.width;
  sort_by_expert(x.count * k, experts.count(), work);
  if (k > 1) {
    for (int64_t r = 0; r < y.count; ++r) std::fill_n(y.row(r), width, 0.0F);
  }
  const auto gate_of = [&](int64_t choice) { return work.gated ? work.gates[choice] : 1.0F; };
  for (int64_t e = 0; e < experts.count(); ++e) {
    const int64_t begin = work.ends[e], count = work.ends[e + 1] - begin;
    if (count == 0) continue;
    if (k == 1 && count == x.count) {
      run_expert(config, experts, e, x, y, work);
      for (int64_t r = 0; work.gated && r < y.count; ++r) scale_row(work.gates[r], width, y.row(r));
      return;
    }
    const Rows in = work.gathered.rows(count), out = work.gathered_out.rows(count);
    const auto choice_of = [&](int64_t i) { return work.order[begin + i]; };
    for (int64_t i = 0; i < count; ++i) std::copy_n(x.row(choice_of(i) / k), width, in.row(i));
    run_expert(config, experts, e, in, out, work);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t choice = choice_of(i);
      float* const to = y.row(choice / k);
      if (k > 1) {
        add_scaled_row(out.row(i), gate_of(choice), width, to);
        continue;
      }
      std::copy_n(out.row(i), width, to);
      if (work.gated) scale_row(gate_of(choice), width, to);
    }
  }
}

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

// Experts of a token at most, each with a place of its own among the choices.
int64_t choices_of(const config::ExpertConfig& experts, const config::Dispatch& dispatch) {
  if (config::is_drawn(experts.router) || draws_past_router(experts, dispatch)) return 1;
  if (experts.router == config::RouterKind::kExpertChoice) return experts.count;
  return config::active_experts(dispatch, experts);
}

// Whether every token meets all experts, each by its gate.
bool meets_all(const config::ExpertConfig& experts, int64_t choices) {
  return experts.count > 1 && config::is_elastic(experts.router) && choices == experts.count;
}

// Inner width of all experts together where tokens meet them all, else hardly anything.
int64_t all_inner(const config::ModelConfig& config, const config::Dispatch& dispatch) {
  const bool all = meets_all(config.experts, choices_of(config.experts, dispatch)) &&
                   config.experts.body == config::ExpertBody::kReplace;
  return all ? config.experts.count * config::expert_feed_forward(config) : 1;
}

// y = sum_e g_e E_e(x) as one feed-forward whose inner numbers are scaled expert by expert, and the sum of
// the second biases (smoe_dropout spec 4.21).
void run_scaled(const config::ModelConfig& config, const Experts& experts, ConstRows x, Rows y,
                Workspace& work) {
  const FeedForward& all = experts.all();
  const int64_t count = experts.count(), inner = experts.feed_forward(), width = config.width;
  const Rows hidden = work.all_hidden.rows(x.count), gate = work.all_gate.rows(x.count);
  all.fc1(x, hidden);
  if (config::is_gated(config.activation)) all.gate(x, gate);
  activate(config.activation, count * inner, gate, hidden);
  const auto each_gate = [&](int64_t row, auto&& use) {  // use(expert, gate)
    for (int64_t c = row * count; c < (row + 1) * count; ++c) {
      use(work.experts[static_cast<size_t>(c)], work.gates[static_cast<size_t>(c)]);
    }
  };
  for (int64_t r = 0; r < x.count; ++r) {
    each_gate(r, [&](int64_t expert, float by) { scale_row(by, inner, hidden.row(r) + expert * inner); });
  }
  all.fc2(hidden, y);
  for (int64_t r = 0; r < x.count; ++r) {
    each_gate(r, [&](int64_t expert, float by) {
      add_scaled_row(experts.second_biases().data() + expert * width, by, width, y.row(r));
    });
  }
}

}  // namespace

Workspace::Workspace(const config::ModelConfig& config, const config::Dispatch& dispatch)
    : states(config.width),
      normed(config.width),
      output(config.width),
      of_decoder(config::decoders_of(config) > 1 ? config.width : 1),
      projected(3 * config.width),
      context(config.width),
      hidden(std::max(config.feed_forward, config::expert_feed_forward(config))),
      gate(std::max(config.feed_forward, config::expert_feed_forward(config))),
      gathered(config.width),
      gathered_out(config.width),
      all_hidden(all_inner(config, dispatch)),
      all_gate(all_inner(config, dispatch)),
      router_scores(3 * config.experts.count),
      choices(choices_of(config.experts, dispatch)),
      gated(dispatch.gate || config.experts.gate != config::Gate::kNone),
      fixed_gate(dispatch.gate),
      scores(static_cast<size_t>(blocks_for(config.max_length) * kBlockPositions)),
      blocks(static_cast<size_t>(blocks_for(config.max_length))),
      ends(static_cast<size_t>(config.experts.count) + 1) {}

void Workspace::reserve(int64_t rows) {
  for (RowBuffer* buffer : {&states, &normed, &output, &of_decoder, &projected, &context, &hidden, &gate,
                            &gathered, &gathered_out, &all_hidden, &all_gate, &router_scores}) {
    buffer->reserve(rows);
  }
  const auto all = static_cast<size_t>(rows * choices);
  if (all > experts.size()) {
    experts.resize(all);
    order.resize(all);
    gates.resize(all);
  }
}

void embed(const Weights& weights, const StackWeights& stack, int32_t token, int64_t position, float* x) {
  const int64_t width = weights.config.width;
  const int64_t vocabulary = static_cast<int64_t>(stack.embedding.size()) / width;
  if (token < 0 || token >= vocabulary) {
    fail("token {}: wanted an id in [0, {}); the text was encoded for another model", token, vocabulary);
  }
  embed_vector(weights, stack,
               stack.embedding.subspan(static_cast<size_t>(token * width), static_cast<size_t>(width)),
               position, x);
}

void embed_vector(const Weights& weights, const StackWeights& stack, std::span<const float> values,
                  int64_t position, float* x) {
  const int64_t width = weights.config.width;
  const float factor = weights.config.scale_embeddings ? std::sqrt(static_cast<float>(width)) : 1.0F;
  const float* const embedding = values.data();
  if (stack.positions.empty()) {
    for (int64_t i = 0; i < width; ++i) x[i] = factor * embedding[i];
    return;
  }
  const float* place = stack.positions.data() + position * width;
  for (int64_t i = 0; i < width; ++i) x[i] = factor * embedding[i] + place[i];
}

void rotate(const Weights& weights, int64_t position, float* heads) {
  const AttentionShape shape = weights.attention();
  const int64_t half = shape.head_width / 2;
  const float* cosine = weights.rotary_cosines.data() + position * half;
  const float* sine = weights.rotary_sines.data() + position * half;
  for (int64_t h = 0; h < shape.heads; ++h) {
    float* low = heads + h * shape.head_width;
    float* high = low + half;
    for (int64_t i = 0; i < half; ++i) {
      const float a = low[i], b = high[i];
      low[i] = a * cosine[i] - b * sine[i];
      high[i] = b * cosine[i] + a * sine[i];
    }
  }
}

void mean_of_rows(ConstRows x, int64_t width, float* mean) {
  std::fill_n(mean, width, 0.0F);
  const float share = 1.0F / static_cast<float>(x.count);
  for (int64_t r = 0; r < x.count; ++r) add_scaled_row(x.row(r), share, width, mean);
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

void feed_forward(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, ConstRows x,
                  Rows y, Workspace& work) {
  const Experts& experts = *layer.experts;
  if (experts.count() == 1) {
    run_expert(weights.config, experts, 0, x, y, work);
  } else if (mode == config::DispatchMode::kEnsemble) {
    run_ensemble(weights.config, experts, x, y, work);
  } else if (meets_all(weights.config.experts, work.choices)) {
    run_scaled(weights.config, experts, x, y, work);
  } else {
    run_chosen(weights.config, experts, x, y, work);
  }
  if (!layer.shared) return;
  const Rows shared = work.gathered_out.rows(x.count);
  run_expert(weights.config, *layer.shared, 0, x, shared, work);
  add(shared, weights.config.width, y);
}

namespace {

// Passes rows through one inserted expert, in place.
void run_residual_expert(const Weights& weights, std::span<const ResidualSublayer> sublayers, int64_t expert,
                         Rows x, Workspace& work) {
  for (const ResidualSublayer& sublayer : sublayers) {
    const Rows normed = work.normed.rows(x.count), added = work.gathered_out.rows(x.count);
    normalise(sublayer.norms[static_cast<size_t>(expert)], x, normed);
    run_expert(weights.config, *sublayer.experts, expert, normed, added, work);
    add(added, weights.config.width, x);
  }
}

// to += factor * (after - before).
void add_scaled_change(const float* before, const float* after, float factor, int64_t width, float* to) {
  for (int64_t i = 0; i < width; ++i) to[i] += factor * (after[i] - before[i]);
}

}  // namespace

void run_inserted(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, Rows x,
                  Workspace& work) {
  const int64_t experts = layer.inserted[0].experts->count(), width = weights.config.width;
  if (experts == 1) return run_residual_expert(weights, layer.inserted, 0, x, work);
  const Rows change = work.output.rows(x.count);
  for (int64_t r = 0; r < x.count; ++r) std::fill_n(change.row(r), width, 0.0F);
  // An expert on `count` choices: row_of(i) is the row of the i-th, factor_of(i) what its change counts.
  const auto run = [&](const auto& sublayers, int64_t expert, int64_t count, auto&& row_of,
                       auto&& factor_of) {
    const Rows in = work.gathered.rows(count);
    for (int64_t i = 0; i < count; ++i) std::copy_n(x.row(row_of(i)), width, in.row(i));
    run_residual_expert(weights, sublayers, expert, in, work);
    for (int64_t i = 0; i < count; ++i) {
      add_scaled_change(x.row(row_of(i)), in.row(i), factor_of(i), width, change.row(row_of(i)));
    }
  };
  const auto run_all = [&](const auto& sublayers, int64_t expert, float factor) {
    run(
        sublayers, expert, x.count, [](int64_t i) { return i; }, [factor](int64_t) { return factor; });
  };
  if (mode == config::DispatchMode::kEnsemble) {
    for (int64_t e = 0; e < experts; ++e) run_all(layer.inserted, e, 1.0F / static_cast<float>(experts));
  } else {
    const int64_t k = work.choices;
    sort_by_expert(x.count * k, experts, work);
    for (int64_t e = 0; e < experts; ++e) {
      const int64_t begin = work.ends[e], count = work.ends[e + 1] - begin;
      if (count == 0) continue;
      const auto choice_of = [&](int64_t i) { return work.order[begin + i]; };
      run(
          layer.inserted, e, count, [&](int64_t i) { return choice_of(i) / k; },
          [&](int64_t i) { return work.gated ? work.gates[choice_of(i)] : 1.0F; });
    }
  }
  if (!layer.inserted_shared.empty()) run_all(layer.inserted_shared, 0, 1.0F);
  add(change, width, x);
}

std::vector<float> answers_of_expert(const Weights& weights, const LayerWeights& layer, int64_t expert,
                                     ConstRows x, Workspace& work) {
  const int64_t width = weights.config.width;
  const Rows y = work.output.rows(x.count);
  if (layer.inserted.empty()) {
    run_expert(weights.config, *layer.experts, expert, x, y, work);
  } else {
    for (int64_t r = 0; r < x.count; ++r) std::copy_n(x.row(r), width, y.row(r));
    run_residual_expert(weights, layer.inserted, expert, y, work);
  }
  std::vector<float> answers;
  for (int64_t r = 0; r < x.count; ++r) {
    for (int64_t i = 0; i < width; ++i) {
      answers.push_back(layer.inserted.empty() ? y.row(r)[i] : y.row(r)[i] - x.row(r)[i]);
    }
  }
  return answers;
}

}  // namespace megin::runtime
