#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <torch/csrc/autograd/custom_function.h>

#include <algorithm>
#include <numeric>
#include <vector>

#include "objective/vocabulary_kernel.h"
#include "objective/vocabulary_loss.h"
#include "text/vocabulary.h"

namespace megin::objective {
namespace {

// Logits of a chunk in memory: small enough for the last-level cache, large enough for the matrix products.
constexpr int64_t kChunkLogits = int64_t{1} << 20;
constexpr int64_t kSmallestChunk = 32;  // positions

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

// Rows of the kept positions, pass after pass.
at::Tensor kept_rows(const std::vector<int64_t>& kept, int64_t positions, int64_t passes) {
  std::vector<int64_t> rows;
  rows.reserve(kept.size() * static_cast<size_t>(passes));
  for (int64_t pass = 0; pass < passes; ++pass) {
    for (const int64_t position : kept) rows.push_back(pass * positions + position);
  }
  return at::tensor(rows, at::kLong);
}

struct Chunk {
  int64_t first;
  int64_t count;
};

// One chunk: logits, losses, and the logits replaced by their gradient. `logits` is [passes * count, V].
void losses_of_chunk(at::Tensor& logits, const Chunk& chunk, const std::vector<int32_t>& labels,
                     const VocabularyLossWeights& weights, std::vector<RowLoss>& rows) {
  const int64_t symbols = logits.size(1);
  const bool two = logits.size(0) > chunk.count;
  float* const z = logits.data_ptr<float>();
  at::parallel_for(0, chunk.count, 4, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* const second = two ? z + (chunk.count + i) * symbols : nullptr;
      const auto at = static_cast<size_t>(chunk.first + i);
      rows[at] = loss_row(z + i * symbols, second, symbols, labels[at], weights);
    }
  });
}

// The losses, and the gradients of the weighted loss.
Gradients compute(const VocabularyLossInputs& inputs, const VocabularyLossWeights& weights,
                  VocabularyLoss& loss) {
  const auto positions = static_cast<int64_t>(inputs.targets.size());
  const int64_t symbols = inputs.output_weight.size(0);
  const std::vector<int64_t> kept = kept_positions(inputs.targets);
  const auto count = static_cast<int64_t>(kept.size());
  Gradients gradients{.states = at::zeros_like(inputs.states),
                      .output_weight = at::zeros_like(inputs.output_weight)};
  if (count == 0) return gradients;  // nothing but padding
  std::vector<int32_t> labels;
  for (const int64_t position : kept) labels.push_back(inputs.targets[static_cast<size_t>(position)]);

  const at::Tensor rows = kept_rows(kept, positions, inputs.passes);
  const at::Tensor states = inputs.states.index_select(0, rows).view({inputs.passes, count, -1});
  at::Tensor state_gradients = at::empty_like(states);
  const int64_t step = std::max(kSmallestChunk, kChunkLogits / (symbols * inputs.passes));
  at::Tensor buffer = at::empty({inputs.passes * std::min(step, count), symbols}, at::kFloat);
  std::vector<RowLoss> losses(static_cast<size_t>(count));

  for (int64_t first = 0; first < count; first += step) {
    const Chunk chunk{.first = first, .count = std::min(step, count - first)};
    const at::Tensor part = states.narrow(1, first, chunk.count).reshape({inputs.passes * chunk.count, -1});
    at::Tensor logits = buffer.narrow(0, 0, part.size(0));
    at::mm_out(logits, part, inputs.output_weight.t());
    losses_of_chunk(logits, chunk, labels, weights, losses);
    state_gradients.narrow(1, first, chunk.count)
        .copy_(at::mm(logits, inputs.output_weight).view({inputs.passes, chunk.count, -1}));
    gradients.output_weight.addmm_(logits.t(), part);
  }
  gradients.states.index_copy_(0, rows, state_gradients.view({inputs.passes * count, -1}));
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
  const at::NoGradGuard no_gradients;
  const std::vector<int64_t> kept = kept_positions(inputs.targets);
  const auto count = static_cast<int64_t>(kept.size());
  const at::Tensor states = inputs.states.index_select(0, at::tensor(kept, at::kLong));
  const int64_t symbols = inputs.output_weight.size(0);
  const int64_t step = std::max(kSmallestChunk, kChunkLogits / symbols);
  at::Tensor buffer = at::empty({std::min(step, count), symbols}, at::kFloat);
  std::vector<double> losses(kept.size());
  for (int64_t first = 0; first < count; first += step) {
    const at::Tensor part = states.narrow(0, first, std::min(step, count - first));
    at::Tensor logits = buffer.narrow(0, 0, part.size(0));
    at::mm_out(logits, part, inputs.output_weight.t());
    const float* const z = logits.data_ptr<float>();
    at::parallel_for(0, part.size(0), 4, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const auto at = static_cast<size_t>(first + i);
        losses[at] = nll_row(z + i * symbols, symbols, inputs.targets[static_cast<size_t>(kept[at])]);
      }
    });
  }
  return std::accumulate(losses.begin(), losses.end(), 0.0);
}

}  // namespace megin::objective
