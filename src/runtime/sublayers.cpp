#include "runtime/sublayers.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace megin::runtime {
namespace {

// One expert on rows of x.
void run_expert(const config::ModelConfig& config, const FeedForward& expert, ConstRows x, Rows y,
                Workspace& work) {
  const Rows hidden = work.hidden.rows(x.count);
  const Rows gate = work.gate.rows(x.count);
  expert.fc1(x, hidden);
  if (config::is_gated(config.activation)) expert.gate(x, gate);
  activate(config.activation, config.feed_forward, gate, hidden);
  expert.fc2(hidden, y);
}

void run_ensemble(const config::ModelConfig& config, const Experts& experts, ConstRows x, Rows y,
                  Workspace& work) {
  run_expert(config, experts[0], x, y, work);
  const Rows one = work.gathered_out.rows(x.count);
  for (int64_t e = 1; e < experts.count(); ++e) {
    run_expert(config, experts[e], x, one, work);
    add(one, config.width, y);
  }
  scale(1.0F / static_cast<float>(experts.count()), config.width, y);
}

// Fills work.order with the rows by expert, and work.ends: rows of expert e stand at [ends[e], ends[e + 1]).
void sort_by_expert(int64_t rows, int64_t experts, Workspace& work) {
  work.ends.assign(static_cast<size_t>(experts) + 1, 0);
  for (int64_t r = 0; r < rows; ++r) ++work.ends[work.experts[r] + 1];
  for (int64_t e = 0; e < experts; ++e) work.ends[e + 1] += work.ends[e];
  // Placing a row moves its expert's start forward; shifted back below.
  for (int64_t r = 0; r < rows; ++r) work.order[work.ends[work.experts[r]]++] = r;
  for (int64_t e = experts; e > 0; --e) work.ends[e] = work.ends[e - 1];
  work.ends[0] = 0;
}

void run_drawn(const config::ModelConfig& config, const Experts& experts, ConstRows x, Rows y,
               Workspace& work) {
  sort_by_expert(x.count, experts.count(), work);
  for (int64_t e = 0; e < experts.count(); ++e) {
    const int64_t begin = work.ends[e], count = work.ends[e + 1] - begin;
    if (count == 0) continue;
    if (count == x.count) return run_expert(config, experts[e], x, y, work);
    const Rows in = work.gathered.rows(count), out = work.gathered_out.rows(count);
    const auto row_of = [&](int64_t i) { return work.order[begin + i]; };
    for (int64_t i = 0; i < count; ++i) std::copy_n(x.row(row_of(i)), config.width, in.row(i));
    run_expert(config, experts[e], in, out, work);
    for (int64_t i = 0; i < count; ++i) std::copy_n(out.row(i), config.width, y.row(row_of(i)));
  }
}

}  // namespace

Workspace::Workspace(const config::ModelConfig& config)
    : states(config.width),
      normed(config.width),
      output(config.width),
      projected(3 * config.width),
      context(config.width),
      hidden(config.feed_forward),
      gate(config.feed_forward),
      gathered(config.width),
      gathered_out(config.width),
      scores(static_cast<size_t>(blocks_for(config.max_length) * kBlockPositions)),
      blocks(static_cast<size_t>(blocks_for(config.max_length))),
      ends(static_cast<size_t>(config.experts.count) + 1) {}

void Workspace::reserve(int64_t rows) {
  for (RowBuffer* buffer :
       {&states, &normed, &output, &projected, &context, &hidden, &gate, &gathered, &gathered_out}) {
    buffer->reserve(rows);
  }
  if (rows > static_cast<int64_t>(experts.size())) {
    experts.resize(static_cast<size_t>(rows));
    order.resize(static_cast<size_t>(rows));
  }
}

void embed(const Weights& weights, const StackWeights& stack, int32_t token, int64_t position, float* x) {
  const int64_t width = weights.config.width;
  const int64_t vocabulary = static_cast<int64_t>(stack.embedding.size()) / width;
  if (token < 0 || token >= vocabulary) {
    fail("token {}: wanted an id in [0, {}); the text was encoded for another model", token, vocabulary);
  }
  const float factor = std::sqrt(static_cast<float>(width));
  const float* embedding = stack.embedding.data() + token * width;
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

void feed_forward(const Weights& weights, const LayerWeights& layer, config::DispatchMode mode, ConstRows x,
                  Rows y, Workspace& work) {
  const Experts& experts = *layer.experts;
  if (experts.count() == 1) {
    run_expert(weights.config, experts[0], x, y, work);
  } else if (mode == config::DispatchMode::kEnsemble) {
    run_ensemble(weights.config, experts, x, y, work);
  } else {
    run_drawn(weights.config, experts, x, y, work);
  }
}

}  // namespace megin::runtime
