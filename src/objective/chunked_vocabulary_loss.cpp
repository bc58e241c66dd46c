#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "net/row_parts.h"
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
};

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

// Runs body(chunk number) for chunks [first, last) over all threads, without recording gradients.
template <typename Body>
void for_chunks(int64_t first, int64_t last, const Body& body) {
  at::parallel_for(first, last, 1, [&](int64_t begin, int64_t end) {
    const at::NoGradGuard no_gradients;  // a setting of each thread
    for (int64_t number = begin; number < end; ++number) body(number);
  });
}

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

// Losses of one chunk, whose logits, [passes * count, V], are replaced by their gradient.
void losses_of_chunk(at::Tensor& logits, const Chunk& chunk, const std::vector<int32_t>& labels,
                     const VocabularyLossWeights& weights, std::vector<RowLoss>& rows) {
  const int64_t symbols = logits.size(1);
  const bool two = logits.size(0) > chunk.count;
  float* const z = logits.data_ptr<float>();
  std::vector<float> scratch(static_cast<size_t>(2 * symbols));
  for (int64_t i = 0; i < chunk.count; ++i) {
    float* const second = two ? z + (chunk.count + i) * symbols : nullptr;
    const auto at = static_cast<size_t>(chunk.first + i);
    rows[at] = loss_row(z + i * symbols, second, symbols, labels[at], weights, scratch.data());
  }
}

// The losses, and the gradients of the weighted loss.
Gradients compute(const VocabularyLossInputs& inputs, const VocabularyLossWeights& weights,
                  VocabularyLoss& loss) {
  const auto positions = static_cast<int64_t>(inputs.targets.size());
  const int64_t symbols = inputs.output_weight.size(0), passes = inputs.passes;
  const std::vector<int64_t> kept = kept_positions(inputs.targets);
  Gradients gradients{.states = at::zeros_like(inputs.states),
                      .output_weight = at::zeros_like(inputs.output_weight)};
  if (kept.empty()) return gradients;  // nothing but padding
  std::vector<int32_t> labels;
  for (const int64_t position : kept) labels.push_back(inputs.targets[static_cast<size_t>(position)]);

  const Chunks chunks(static_cast<int64_t>(kept.size()), symbols, passes);
  const at::Tensor rows = kept_rows(kept, chunks, positions, passes);
  const at::Tensor states = inputs.states.index_select(0, rows), output_weight = inputs.output_weight;
  const at::Tensor state_gradients = at::empty_like(states);
  const int64_t most = std::min(chunks.count(), kChunksInGroup);
  const at::Tensor buffer = at::empty({most * passes * chunks.longest(), symbols}, at::kFloat);
  std::vector<RowLoss> losses(kept.size());

  for (int64_t group = 0; group < chunks.count(); group += kChunksInGroup) {
    const int64_t end = std::min(chunks.count(), group + kChunksInGroup);
    const int64_t first_row = passes * chunks[group].first;
    for_chunks(group, end, [&](int64_t number) {
      const Chunk chunk = chunks[number];
      const int64_t row = passes * chunk.first, count = passes * chunk.count;
      at::Tensor logits = buffer.narrow(0, row - first_row, count);
      at::mm_out(logits, states.narrow(0, row, count), output_weight.t());
      losses_of_chunk(logits, chunk, labels, weights, losses);
      at::Tensor to_states = state_gradients.narrow(0, row, count);
      at::mm_out(to_states, logits, output_weight);
    });
    const int64_t group_rows = passes * (chunks[end - 1].first + chunks[end - 1].count) - first_row;
    const at::Tensor group_logits = buffer.narrow(0, 0, group_rows);
    const at::Tensor group_states = states.narrow(0, first_row, group_rows);
    net::for_row_parts(symbols, [&](const net::RowPart& part) {
      net::rows_of(gradients.output_weight, part)
          .addmm_(group_logits.narrow(1, part.first, part.rows).t(), group_states);
    });
  }
  gradients.states.index_copy_(0, rows, state_gradients);
  for (const RowLoss& row : losses) {
    for (int pass = 0; pass < 2; ++pass) {
      loss.cross_entropy[pass] += row.cross_entropy[pass];
      loss.nll[pass] += row.nll[pass];
    }
    loss.consistency += row.consistency;
  }
  return gradients;
}

// Gradients are made in the forward pass, as the loss is a scalar: backward only scales them.
struct ChunkedFunction : torch::autograd::Function<ChunkedFunction> {
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& states,
                            const at::Tensor& output_weight, const VocabularyLossInputs* inputs,
                            const VocabularyLossWeights* weights, VocabularyLoss* loss) {
    const Gradients gradients =
        compute({states, output_weight, inputs->targets, inputs->passes}, *weights, *loss);
    context->save_for_backward({gradients.states, gradients.output_weight});
    const double total = weights->cross_entropy[0] * loss->cross_entropy[0] +
                         weights->cross_entropy[1] * loss->cross_entropy[1] +
                         weights->consistency * loss->consistency;
    return at::scalar_tensor(total, at::kFloat);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 const torch::autograd::variable_list& upstream) {
    const auto saved = context->get_saved_variables();
    const at::Tensor none;
    if (upstream[0].item<float>() == 1.0f) return {saved[0], saved[1], none, none, none};
    return {saved[0] * upstream[0], saved[1] * upstream[0], none, none, none};
  }
};

}  // namespace

VocabularyLoss chunked_vocabulary_loss(const VocabularyLossInputs& inputs,
                                       const VocabularyLossWeights& weights) {
  VocabularyLoss loss;
  loss.total = ChunkedFunction::apply(inputs.states, inputs.output_weight, &inputs, &weights, &loss);
  return loss;
}

double chunked_nll(const VocabularyLossInputs& inputs) {
  const std::vector<int64_t> kept = kept_positions(inputs.targets);
  if (kept.empty()) return 0;
  const int64_t symbols = inputs.output_weight.size(0);
  const Chunks chunks(static_cast<int64_t>(kept.size()), symbols, 1);
  const at::Tensor rows = kept_rows(kept, chunks, static_cast<int64_t>(inputs.targets.size()), 1);
  const at::NoGradGuard no_gradients;
  const at::Tensor states = inputs.states.index_select(0, rows), output_weight = inputs.output_weight;
  std::vector<double> losses(kept.size());
  for_chunks(0, chunks.count(), [&](int64_t number) {
    const Chunk chunk = chunks[number];
    const at::Tensor logits = at::mm(states.narrow(0, chunk.first, chunk.count), output_weight.t());
    for (int64_t i = 0; i < chunk.count; ++i) {
      const auto at = static_cast<size_t>(chunk.first + i);
      losses[at] = nll_row(logits.data_ptr<float>() + i * symbols, symbols,
                           inputs.targets[static_cast<size_t>(kept[at])]);
    }
  });
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace megin::objective
