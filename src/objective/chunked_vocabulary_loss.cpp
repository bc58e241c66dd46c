#include <ATen/ATen.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>
#include <optional>
#include <vector>

#include "matrix/gradient_product.h"
#include "net/products.h"
#include "objective/vocabulary_kernel.h"
#include "objective/vocabulary_loss.h"
#include "text/vocabulary.h"

namespace megin::objective {
namespace {

// Logits of a chunk in memory, which one thread makes and uses: small enough for the last-level cache, large
// enough that reading the output weights is little beside the product.
constexpr int64_t kChunkLogits = int64_t{1} << 21;
constexpr int64_t kSmallestChunk = 32;  // positions
// So many chunks share one product for the gradient of the output weights.
constexpr int64_t kChunksInGroup = 8;

struct Gradients {
  at::Tensor states;         // [passes * positions, d]
  at::Tensor output_weight;  // [V, d]
  at::Tensor output_bias;    // [V]; undefined: there is none
};

std::span<const float> bias_of(const VocabularyLossInputs& inputs) {
  if (!inputs.output_bias.defined()) return {};
  return {inputs.output_bias.data_ptr<float>(), static_cast<size_t>(inputs.output_bias.numel())};
}

// sums[v] += the sum of column v.
void add_columns(const matrix::Rows& rows, const net::RowPart& columns, float* sums) {
  for (int64_t r = 0; r < rows.count; ++r) {
    for (int64_t v = columns.first; v < columns.first + columns.rows; ++v) sums[v] += rows.row(r)[v];
  }
}

// Number of each position that is not padding.
std::vector<int64_t> kept_positions(std::span<const int32_t> targets) {
  std::vector<int64_t> kept;
  for (size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] != text::kPadId) kept.push_back(static_cast<int64_t>(i));
  }
  return kept;
}

// The kept positions cut into chunks, which depend on the shapes only, not on the thread count.
class Chunks {
 public:
  Chunks(int64_t positions, int64_t symbols, int64_t passes)
      : positions_(positions), step_(std::max(kSmallestChunk, kChunkLogits / (symbols * passes))) {}

  struct Chunk {
    int64_t first;
    int64_t count;
  };
  int64_t count() const { return (positions_ + step_ - 1) / step_; }
  Chunk operator[](int64_t number) const {
    const int64_t first = number * step_;
    return {.first = first, .count = std::min(step_, positions_ - first)};
  }
  int64_t longest() const { return std::min(step_, positions_); }

 private:
  int64_t positions_;
  int64_t step_;
};

using Chunk = Chunks::Chunk;

// Rows of the kept positions: chunk after chunk, within it pass after pass.
at::Tensor kept_rows(const std::vector<int64_t>& kept, const Chunks& chunks, int64_t positions,
                     int64_t passes) {
  std::vector<int64_t> rows;
  rows.reserve(kept.size() * static_cast<size_t>(passes));
  for (int64_t number = 0; number < chunks.count(); ++number) {
    for (int64_t pass = 0; pass < passes; ++pass) {
      for (int64_t i = 0; i < chunks[number].count; ++i) {
        rows.push_back(pass * positions + kept[static_cast<size_t>(chunks[number].first + i)]);
      }
    }
  }
  return at::tensor(rows, at::kLong);
}

VocabularyLossWeights scaled(double by, VocabularyLossWeights weights) {
  for (double& weight : weights.cross_entropy) weight *= by;
  weights.consistency *= by;
  weights.distillation *= by;
  return weights;
}

RowLoss scaled(double by, RowLoss loss) {
  for (int pass = 0; pass < 2; ++pass) {
    loss.cross_entropy[pass] *= by;
    loss.nll[pass] *= by;
  }
  loss.consistency *= by;
  loss.distillation *= by;
  return loss;
}

// A teacher's logits of the kept positions, chunk by chunk.
class TeacherLogits {
 public:
  TeacherLogits(const TeacherInputs& teacher, const at::Tensor& rows)
      : states_(teacher.states.index_select(0, rows)),
        bias_(teacher.output_bias),
        to_symbols_(net::packed(teacher.output_weight, matrix::Layout::kOutputsByInputs)),
        symbols_(teacher.output_weight.size(0)) {}

  // [count, V]
  at::Tensor of(const Chunk& chunk) const {
    const at::Tensor logits = at::empty({chunk.count, symbols_}, at::kFloat);
    std::span<const float> bias;
    if (bias_.defined()) bias = {bias_.data_ptr<float>(), static_cast<size_t>(symbols_)};
    matrix::multiply(to_symbols_, bias, net::const_rows(states_, {.first = chunk.first, .rows = chunk.count}),
                     net::mutable_rows(logits, {.first = 0, .rows = chunk.count}));
    return logits;
  }

 private:
  at::Tensor states_, bias_;
  matrix::PackedMatrix to_symbols_;
  int64_t symbols_;
};

// Losses of one chunk, whose logits, [passes * count, V], are replaced by their gradient. teacher: its
// logits, overwritten; null: none.
void losses_of_chunk(const matrix::Rows& logits, const Chunk& chunk, const std::vector<int32_t>& labels,
                     const VocabularyLossWeights& weights, std::span<const float> position_weights,
                     float* teacher, std::vector<RowLoss>& rows) {
  const int64_t symbols = logits.stride;
  const bool two = logits.count > chunk.count;
  float* const z = logits.data;
  std::vector<float> scratch(static_cast<size_t>(3 * symbols));
  for (int64_t i = 0; i < chunk.count; ++i) {
    float* const second = two ? z + (chunk.count + i) * symbols : nullptr;
    const auto at = static_cast<size_t>(chunk.first + i);
    const double by = position_weights.empty() ? 1.0 : position_weights[at];
    const VocabularyLossWeights own = scaled(by, weights);
    float* const of_teacher = teacher != nullptr ? teacher + i * symbols : nullptr;
    double distillation = 0;
    if (of_teacher != nullptr) {
      distillation = distillation_row(z + i * symbols, of_teacher, symbols, own, scratch.data());
    }
    RowLoss found = loss_row(z + i * symbols, second, symbols, labels[at], own, scratch.data());
    if (of_teacher != nullptr) add_row(of_teacher, symbols, z + i * symbols);
    found.distillation = distillation;
    rows[at] = scaled(by, found);
  }
}

// The losses, and the gradients of the weighted loss.
Gradients compute(const VocabularyLossInputs& inputs, const VocabularyLossWeights& weights,
                  VocabularyLoss& loss) {
  const auto positions = static_cast<int64_t>(inputs.targets.size());
  const int64_t symbols = inputs.output_weight.size(0), passes = inputs.passes;
  const std::vector<int64_t> kept = kept_positions(inputs.targets);
  Gradients gradients{.states = at::zeros_like(inputs.states),
                      .output_weight = at::zeros_like(inputs.output_weight),
                      .output_bias = {}};
  if (inputs.output_bias.defined()) gradients.output_bias = at::zeros_like(inputs.output_bias);
  if (kept.empty()) return gradients;  // nothing but padding
  std::vector<int32_t> labels;
  std::vector<float> position_weights;
  for (const int64_t position : kept) {
    labels.push_back(inputs.targets[static_cast<size_t>(position)]);
    if (inputs.position_weights.empty()) continue;
    position_weights.push_back(inputs.position_weights[static_cast<size_t>(position)]);
  }

  const Chunks chunks(static_cast<int64_t>(kept.size()), symbols, passes);
  const at::Tensor rows = kept_rows(kept, chunks, positions, passes);
  const at::Tensor states = inputs.states.index_select(0, rows);
  const at::Tensor state_gradients = at::empty_like(states);
  const matrix::PackedMatrix to_symbols = net::packed(inputs.output_weight, matrix::Layout::kOutputsByInputs),
                             from_symbols =
                                 net::packed(inputs.output_weight, matrix::Layout::kInputsByOutputs);
  const int64_t most = std::min(chunks.count(), kChunksInGroup);
  const at::Tensor buffer = at::empty({most * passes * chunks.longest(), symbols}, at::kFloat);
  std::vector<RowLoss> losses(kept.size());
  std::optional<TeacherLogits> teacher;
  if (inputs.teacher != nullptr) teacher.emplace(*inputs.teacher, rows);

  for (int64_t group = 0; group < chunks.count(); group += kChunksInGroup) {
    const int64_t end = std::min(chunks.count(), group + kChunksInGroup);
    const int64_t first_row = passes * chunks[group].first;
    net::for_tasks(end - group, [&](int64_t task) {
      const Chunk chunk = chunks[group + task];
      const net::RowPart part{.first = passes * chunk.first, .rows = passes * chunk.count};
      const matrix::Rows logits =
          net::mutable_rows(buffer, {.first = part.first - first_row, .rows = part.rows});
      matrix::multiply(to_symbols, bias_of(inputs), net::const_rows(states, part), logits);
      const at::Tensor of_teacher = teacher ? teacher->of(chunk) : at::Tensor();
      losses_of_chunk(logits, chunk, labels, weights, position_weights,
                      teacher ? of_teacher.data_ptr<float>() : nullptr, losses);
      matrix::multiply(from_symbols, {}, logits, net::mutable_rows(state_gradients, part));
    });
    const int64_t group_rows = passes * (chunks[end - 1].first + chunks[end - 1].count) - first_row;
    const int64_t d = states.size(1);
    const matrix::Rows group_logits = net::mutable_rows(buffer, {.first = 0, .rows = group_rows});
    const matrix::ConstRows group_states = net::const_rows(states, {.first = first_row, .rows = group_rows});
    net::for_row_parts(symbols, [&](const net::RowPart& part) {
      matrix::multiply_gradient(
          {.dy = {group_logits.data + part.first, group_rows, symbols}, .x = group_states, .inputs = d},
          net::mutable_rows(gradients.output_weight, part), matrix::Sum::kAdd);
      if (gradients.output_bias.defined()) {
        add_columns(group_logits, part, gradients.output_bias.data_ptr<float>());
      }
    });
  }
  gradients.states.index_copy_(0, rows, state_gradients);
  for (const RowLoss& row : losses) {
    for (int pass = 0; pass < 2; ++pass) {
      loss.cross_entropy[pass] += row.cross_entropy[pass];
      loss.nll[pass] += row.nll[pass];
    }
    loss.consistency += row.consistency;
    loss.distillation += row.distillation;
  }
  return gradients;
}

// Gradients are made in the forward pass, as the loss is a scalar: backward only scales them. An empty bias
// is none: functions take no undefined tensors.
struct ChunkedFunction : torch::autograd::Function<ChunkedFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& states,
                            const at::Tensor& output_weight, const at::Tensor& output_bias,
                            const VocabularyLossInputs* inputs, const VocabularyLossWeights* weights,
                            VocabularyLoss* loss) {
    const at::Tensor bias = output_bias.numel() > 0 ? output_bias : at::Tensor();
    const Gradients gradients = compute({states, output_weight, inputs->targets, inputs->passes,
                                         inputs->position_weights, bias, inputs->teacher},
                                        *weights, *loss);
    context->save_for_backward({gradients.states, gradients.output_weight, gradients.output_bias});
    const double total = weights->cross_entropy[0] * loss->cross_entropy[0] +
                         weights->cross_entropy[1] * loss->cross_entropy[1] +
                         weights->consistency * loss->consistency +
                         weights->distillation * loss->distillation;
    return at::scalar_tensor(total, at::kFloat);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor none;
    if (upstream[0].item<float>() == 1.0f) return {saved[0], saved[1], saved[2], none, none, none};
    return {saved[0] * upstream[0],
            saved[1] * upstream[0],
            saved[2].defined() ? saved[2] * upstream[0] : none,
            none,
            none,
            none};
  }
};

}  // namespace

VocabularyLoss chunked_vocabulary_loss(const VocabularyLossInputs& inputs,
                                       const VocabularyLossWeights& weights) {
  VocabularyLoss loss;
  const at::Tensor bias = inputs.output_bias.defined() ? inputs.output_bias : at::empty({0}, at::kFloat);
  loss.total = ChunkedFunction::apply(inputs.states, inputs.output_weight, bias, &inputs, &weights, &loss);
  return loss;
}

std::vector<double> chunked_cross_entropies(const VocabularyLossInputs& inputs, double label_smoothing) {
  std::vector<double> losses(inputs.targets.size());
  const std::vector<int64_t> kept = kept_positions(inputs.targets);
  if (kept.empty()) return losses;
  const int64_t symbols = inputs.output_weight.size(0);
  const Chunks chunks(static_cast<int64_t>(kept.size()), symbols, 1);
  const at::Tensor rows = kept_rows(kept, chunks, static_cast<int64_t>(inputs.targets.size()), 1);
  const at::NoGradGuard no_gradients;
  const at::Tensor states = inputs.states.index_select(0, rows);
  const matrix::PackedMatrix to_symbols = net::packed(inputs.output_weight, matrix::Layout::kOutputsByInputs);
  net::for_tasks(chunks.count(), [&](int64_t number) {
    const Chunk chunk = chunks[number];
    const at::Tensor logits = at::empty({chunk.count, symbols}, at::kFloat);
    matrix::multiply(to_symbols, bias_of(inputs),
                     net::const_rows(states, {.first = chunk.first, .rows = chunk.count}),
                     net::mutable_rows(logits, {.first = 0, .rows = chunk.count}));
    for (int64_t i = 0; i < chunk.count; ++i) {
      const auto position = static_cast<size_t>(kept[static_cast<size_t>(chunk.first + i)]);
      losses[position] = cross_entropy_row(logits.data_ptr<float>() + i * symbols, symbols,
                                           inputs.targets[position], label_smoothing);
    }
  });
  return losses;
}

double chunked_nll(const VocabularyLossInputs& inputs) {
  const std::vector<double> losses = chunked_cross_entropies(inputs, 0.0);
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace megin::objective
