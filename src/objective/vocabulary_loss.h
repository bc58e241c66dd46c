// From decoder states to the loss over the vocabulary: label-smoothed cross-entropy of one or two passes and
// the consistency between them. Equations: THOR (Zuo et al. 2022), eq. 3, as thor spec 1.3; label smoothing
// as fairseq's (thor spec 4.4): the target gets 1 - eps, every other symbol eps / (V - 1).
//
// For each target position that is not padding, with p and q the softmax of the two passes' logits,
//   CE = (1 - eps - e) * nll + e * sum_v(-log p_v), e = eps / (V - 1)
//   CR = 1/2 * sum_v (p_v - q_v) * (log p_v - log q_v)
// in fp32 from log-softmax, so that extreme logits give no NaN. All values are sums over positions.
//
// Distillation (Hinton et al. 2015, arXiv 1503.02531, section 2): with t the softmax of a teacher's logits
// and p that of the model's, both divided by the temperature T,
//   D = T^2 sum_v t_v (log t_v - log p_v)
// whose gradient in the model's logits, T (p - t), keeps its size as T grows. The teacher gets none.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "config/train_config.h"

namespace megin::objective {

struct VocabularyLossWeights {
  double label_smoothing = 0.1;
  std::array<double, 2> cross_entropy = {1.0, 1.0};  // of each pass
  double consistency = 0.0;                          // alpha and its switch, multiplied
  bool fixed_first = false;   // the consistency has no gradient in the first pass's logits (SMART)
  double distillation = 0.0;  // of D; read where there is a teacher
  double temperature = 1.0;   // of D
};

// The weights that an objective's configuration stands for.
VocabularyLossWeights weights_of(const config::ObjectiveConfig& objective);

// An undefined tensor.
const at::Tensor& no_bias();

// What a teacher makes of the same targets; its vocabulary is the model's. No gradients.
struct TeacherInputs {
  at::Tensor states;         // [positions, d of the teacher], fp32
  at::Tensor output_weight;  // [V, d of the teacher], fp32
  at::Tensor output_bias;    // [V], fp32; undefined: none
};

struct VocabularyLossInputs {
  const at::Tensor& states;          // [passes * positions, d], fp32, pass after pass
  const at::Tensor& output_weight;   // [V, d], fp32
  std::span<const int32_t> targets;  // [positions], padding included
  int64_t passes = 1;                // 1 or 2
  // [positions]: what the losses of each position are multiplied by, gradients and reported sums alike;
  // empty: 1 for all.
  std::span<const float> position_weights = {};
  const at::Tensor& output_bias = no_bias();  // [V], fp32; undefined: none
  const TeacherInputs* teacher = nullptr;     // null: none; of one pass only
};

struct VocabularyLoss {
  at::Tensor total;                              // scalar: the weighted sum; differentiable
  std::array<double, 2> cross_entropy = {0, 0};  // smoothed, nats, each pass
  std::array<double, 2> nll = {0, 0};            // not smoothed, nats
  double consistency = 0;                        // CR, not multiplied by alpha
  double distillation = 0;                       // D, not multiplied by its weight
};

// The plain libtorch form: holds the logits of the batch several times over. What the chunked form is tested
// against and measured by.
VocabularyLoss plain_vocabulary_loss(const VocabularyLossInputs& inputs,
                                     const VocabularyLossWeights& weights);

// The same values and gradients in chunks of rows: logits, softmax, losses and their gradients of a chunk are
// made and used before the next, so that the logits of a batch are never in memory; padding is not computed.
VocabularyLoss chunked_vocabulary_loss(const VocabularyLossInputs& inputs,
                                       const VocabularyLossWeights& weights);

// The one or the other.
VocabularyLoss vocabulary_loss(const VocabularyLossInputs& inputs, const VocabularyLossWeights& weights,
                               bool fused);

struct ClassLossInputs {
  const at::Tensor& logits;               // [passes * rows, classes], pass after pass
  std::span<const int32_t> labels;        // [rows], the class of each
  int64_t passes = 1;                     // 1 or 2
  const at::Tensor& teacher = no_bias();  // logits of a teacher, [rows, classes], beside one pass; undefined:
                                          // none
};

// The plain form over logits that are there already, of a few classes instead of a vocabulary.
VocabularyLoss class_loss(const ClassLossInputs& inputs, const VocabularyLossWeights& weights);

// The smoothed cross-entropy of each target position, [positions], nats, 0 for padding; in the same chunks.
// No gradient. One pass.
std::vector<double> chunked_cross_entropies(const VocabularyLossInputs& inputs, double label_smoothing);

// The sum of -log p over the targets that are not padding: what validation needs.
double chunked_nll(const VocabularyLossInputs& inputs);

}  // namespace megin::objective
