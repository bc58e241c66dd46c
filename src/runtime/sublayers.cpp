#include "runtime/sublayers.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "runtime/expert_choice.h"

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

}  // namespace

namespace {

// Inner width of all experts together where tokens meet them all, else hardly anything.
int64_t all_inner(const config::ModelConfig& config, int64_t most_choices) {
  const bool all =
      meets_all(config.experts, most_choices) && config.experts.body == config::ExpertBody::kReplace;
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
    if (experts.second_biases().empty()) continue;
    each_gate(r, [&](int64_t expert, float by) {
      add_scaled_row(experts.second_biases().data() + expert * width, by, width, y.row(r));
    });
  }
}

// Positions in the blocks that a token attends to, at most.
int64_t most_positions(const config::ModelConfig& config) {
  return config::has_memory(config) ? config::attention_reach(config) + kBlockPositions : config.max_length;
}

}  // namespace

Workspace::Workspace(const config::ModelConfig& config, const config::Dispatch& dispatch,
                     Measurements measuring)
    : most_choices(measuring.squares ? config.experts.count : most_choices_of(config.experts, dispatch)),
      states(config.width),
      normed(config.width),
      output(config.width),
      of_decoder(config::decoders_of(config) > 1 ? config.width : 1),
      projected(3 * config::attention_width(config)),
      context(config::attention_width(config)),
      hidden(std::max(config.feed_forward, config::expert_feed_forward(config))),
      gate(std::max(config.feed_forward, config::expert_feed_forward(config))),
      gathered(config.width),
      gathered_out(config.width),
      all_hidden(all_inner(config, most_choices)),
      all_gate(all_inner(config, most_choices)),
      scores(static_cast<size_t>(blocks_for(most_positions(config)) * kBlockPositions)),
      blocks(static_cast<size_t>(blocks_for(most_positions(config)))),
      router_scores(3 * config.experts.count),
      choices(most_choices),
      gated(has_gates(config.experts, dispatch)),
      fixed_gate(dispatch.gate),
      ends(static_cast<size_t>(config.experts.count) + 1),
      measured(measuring) {
  if (!config::has_memory(config)) return;
  distance_scores.resize(scores.size());
  biased_query.resize(2 * static_cast<size_t>(config::attention_width(config)));
}

void Workspace::reserve(int64_t rows) {
  for (RowBuffer* buffer : {&states, &normed, &output, &of_decoder, &projected, &context, &hidden, &gate,
                            &gathered, &gathered_out, &all_hidden, &all_gate, &router_scores}) {
    buffer->reserve(rows);
  }
  const auto all = static_cast<size_t>(rows * most_choices);
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

namespace {

// The sum of the squares of rows.
double squares_of(ConstRows x, int64_t width) {
  double sum = 0;
  for (int64_t r = 0; r < x.count; ++r) {
    for (int64_t i = 0; i < width; ++i) sum += static_cast<double>(x.row(r)[i]) * x.row(r)[i];
  }
  return sum;
}

// Measures what the experts of a layer answer to rows of x with 1, 2 ... N of them a token, which `run`
// computes into `y`; leaves the choices as they were.
template <typename Run>
void measure_outputs(const Weights& weights, const LayerWeights& layer, ConstRows x, Rows y, Workspace& work,
                     Run&& run) {
  if (work.measured.squares == nullptr) return;
  const int64_t choices = work.choices;
  for (int64_t k = 1; k <= weights.config.experts.count; ++k) {
    work.choices = k;
    choose_by_score(weights, layer, x, 0, work);
    run();
    work.measured.squares->add(layer.expert_layer, k, squares_of(y, weights.config.width));
  }
  work.choices = choices;
  choose_by_score(weights, layer, x, 0, work);
}

// Notes which hidden units of a layer without experts are active, right after it ran. Of a gated activation,
// the gate says so.
void note_units(const Weights& weights, const LayerWeights& layer, int64_t rows, Workspace& work) {
  if (work.measured.activity == nullptr) return;
  const bool gated = config::is_gated(weights.config.activation);
  const Rows active = (gated ? work.gate : work.hidden).rows(rows);
  store::UnitActivity& activity = (*work.measured.activity)[static_cast<size_t>(layer.number)];
  for (int64_t r = 0; r < rows; ++r) {
    activity.add({active.row(r), static_cast<size_t>(layer.experts->feed_forward())});
  }
}

// Notes which experts the rows of a layer met.
void note_votes(const LayerWeights& layer, config::DispatchMode mode, int64_t rows, Workspace& work) {
  if (work.measured.votes == nullptr || mode == config::DispatchMode::kEnsemble) return;
  work.measured.votes->add(layer.expert_layer,
                           std::span(work.experts).first(static_cast<size_t>(rows * work.choices)));
}

// The sum over the experts that are met, without a shared one.
void run_experts(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, ConstRows x,
                 Rows y, Workspace& work) {
  const Experts& experts = *layer.experts;
  if (mode == config::DispatchMode::kEnsemble) {
    run_ensemble(weights.config, experts, x, y, work);
  } else if (meets_all(weights.config.experts, work.choices)) {
    run_scaled(weights.config, experts, x, y, work);
  } else {
    run_chosen(weights.config, experts, x, y, work);
  }
}

}  // namespace

void feed_forward(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, ConstRows x,
                  Rows y, Workspace& work) {
  const Experts& experts = *layer.experts;
  if (experts.count() == 1) {
    run_expert(weights.config, experts, 0, x, y, work);
    note_units(weights, layer, x.count, work);
  } else {
    note_votes(layer, mode, x.count, work);
    const auto run = [&] { run_experts(weights, layer, mode, x, y, work); };
    measure_outputs(weights, layer, x, y, work, run);
    run();
    if (work.scale != 1.0F) scale(work.scale, weights.config.width, y);
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

// change += factor * (E(x) - x) of one expert for every row.
void add_change_of_all(const Weights& weights, std::span<const ResidualSublayer> sublayers, int64_t expert,
                       float factor, Rows x, Rows change, Workspace& work) {
  const int64_t width = weights.config.width;
  const Rows in = work.gathered.rows(x.count);
  for (int64_t r = 0; r < x.count; ++r) std::copy_n(x.row(r), width, in.row(r));
  run_residual_expert(weights, sublayers, expert, in, work);
  for (int64_t r = 0; r < x.count; ++r) {
    add_scaled_change(x.row(r), in.row(r), factor, width, change.row(r));
  }
}

// What the experts that are met change in rows of x, by their gates, without a shared one: into `change`.
void change_by_experts(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, Rows x,
                       Rows change, Workspace& work) {
  const int64_t experts = layer.inserted[0].experts->count(), width = weights.config.width;
  for (int64_t r = 0; r < x.count; ++r) std::fill_n(change.row(r), width, 0.0F);
  if (mode == config::DispatchMode::kEnsemble) {
    for (int64_t e = 0; e < experts; ++e) {
      add_change_of_all(weights, layer.inserted, e, 1.0F / static_cast<float>(experts), x, change, work);
    }
    return;
  }
  const int64_t k = work.choices;
  sort_by_expert(x.count * k, experts, work);
  for (int64_t e = 0; e < experts; ++e) {
    const int64_t begin = work.ends[e], count = work.ends[e + 1] - begin;
    if (count == 0) continue;
    const auto choice_of = [&](int64_t i) { return work.order[begin + i]; };
    const Rows in = work.gathered.rows(count);
    for (int64_t i = 0; i < count; ++i) std::copy_n(x.row(choice_of(i) / k), width, in.row(i));
    run_residual_expert(weights, layer.inserted, e, in, work);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t choice = choice_of(i), row = choice / k;
      add_scaled_change(x.row(row), in.row(i), work.gated ? work.gates[choice] : 1.0F, width,
                        change.row(row));
    }
  }
}

}  // namespace

void run_inserted(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, Rows x,
                  Workspace& work) {
  if (layer.inserted[0].experts->count() == 1)
    return run_residual_expert(weights, layer.inserted, 0, x, work);
  const Rows change = work.output.rows(x.count);
  note_votes(layer, mode, x.count, work);
  const auto run = [&] { change_by_experts(weights, layer, mode, x, change, work); };
  measure_outputs(weights, layer, x, change, work, run);
  run();
  if (work.scale != 1.0F) scale(work.scale, weights.config.width, change);
  if (!layer.inserted_shared.empty()) {
    add_change_of_all(weights, layer.inserted_shared, 0, 1.0F, x, change, work);
  }
  add(change, weights.config.width, x);
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
