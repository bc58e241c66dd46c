#include <ATen/ATen.h>

#include "objective/vocabulary_loss.h"
#include "text/vocabulary.h"

namespace megin::objective {

VocabularyLossWeights weights_of(const config::ObjectiveConfig& objective) {
  VocabularyLossWeights weights{.label_smoothing = objective.label_smoothing,
                                .cross_entropy = {objective.weight_first, objective.weight_second},
                                .consistency = objective.alpha * objective.weight_consistency,
                                .fixed_first = objective.fixed_first,
                                .distillation = objective.teacher.weight,
                                .temperature = objective.teacher.temperature};
  if (objective.passes == 1) weights.cross_entropy[1] = weights.consistency = 0;
  return weights;
}

const at::Tensor& no_bias() {
  static const at::Tensor none;
  return none;
}

namespace {

// [kept, 1], or [1, 1] where all count alike.
at::Tensor weights_of_positions(std::span<const float> weights, const at::Tensor& kept) {
  if (weights.empty()) return at::ones({1, 1}, at::kFloat);
  const at::Tensor all =
      at::from_blob(const_cast<float*>(weights.data()), {static_cast<int64_t>(weights.size())}, at::kFloat);
  return all.index_select(0, kept).unsqueeze(1);
}

at::Tensor logits_of(const TeacherInputs& teacher, const at::Tensor& kept) {
  const at::Tensor logits = at::matmul(teacher.states.index_select(0, kept), teacher.output_weight.t());
  return teacher.output_bias.defined() ? logits + teacher.output_bias : logits;
}

// Logits of each pass, [rows, V], the target of each row, [rows, 1], and what its losses are multiplied by,
// as weights_of_positions() gives it.
struct Predictions {
  std::array<at::Tensor, 2> logits;
  at::Tensor labels;
  at::Tensor weights;
};

VocabularyLoss loss_of(const Predictions& predictions, int64_t passes, const VocabularyLossWeights& weights) {
  const at::Tensor& by = predictions.weights;
  const int64_t symbols = predictions.logits[0].size(1);
  const double eps = weights.label_smoothing;
  const double each = symbols > 1 ? eps / static_cast<double>(symbols - 1) : 0.0;

  VocabularyLoss loss;
  loss.total = at::zeros({}, at::kFloat);
  std::array<at::Tensor, 2> log_probabilities;
  for (int64_t pass = 0; pass < passes; ++pass) {
    const at::Tensor logp = at::log_softmax(predictions.logits[pass], -1);
    const at::Tensor nll = -(logp.gather(1, predictions.labels) * by).sum();
    const at::Tensor smoothed = nll * (1.0 - eps - each) - (logp * by).sum() * each;
    loss.nll[pass] = nll.item<float>();
    loss.cross_entropy[pass] = smoothed.item<float>();
    loss.total = loss.total + smoothed * weights.cross_entropy[pass];
    log_probabilities[pass] = logp;
  }
  if (passes == 2) {
    const at::Tensor p = weights.fixed_first ? log_probabilities[0].detach() : log_probabilities[0];
    const at::Tensor& q = log_probabilities[1];
    const at::Tensor consistency = ((p.exp() - q.exp()) * (p - q) * by).sum() * 0.5;
    loss.consistency = consistency.item<float>();
    if (weights.consistency != 0) loss.total = loss.total + consistency * weights.consistency;
  }
  return loss;
}

// Adds D of the header to the loss of one pass.
void add_distillation(const at::Tensor& teacher, const Predictions& predictions,
                      const VocabularyLossWeights& weights, VocabularyLoss& loss) {
  const double temperature = weights.temperature;
  const at::Tensor logt = at::log_softmax(teacher / temperature, -1).detach();
  const at::Tensor logp = at::log_softmax(predictions.logits[0] / temperature, -1);
  const at::Tensor distillation =
      (logt.exp() * (logt - logp) * predictions.weights).sum() * (temperature * temperature);
  loss.distillation = distillation.item<float>();
  loss.total = loss.total + distillation * weights.distillation;
}

at::Tensor as_labels(std::span<const int32_t> targets) {
  return at::from_blob(const_cast<int32_t*>(targets.data()), {static_cast<int64_t>(targets.size())}, at::kInt)
      .to(at::kLong);
}

}  // namespace

VocabularyLoss plain_vocabulary_loss(const VocabularyLossInputs& inputs,
                                     const VocabularyLossWeights& weights) {
  const auto positions = static_cast<int64_t>(inputs.targets.size());
  const at::Tensor target = as_labels(inputs.targets);
  const at::Tensor kept = at::nonzero(target.ne(text::kPadId)).view(-1);
  Predictions predictions{.logits = {},
                          .labels = target.index_select(0, kept).unsqueeze(1),
                          .weights = weights_of_positions(inputs.position_weights, kept)};
  for (int64_t pass = 0; pass < inputs.passes; ++pass) {
    const at::Tensor states = inputs.states.narrow(0, pass * positions, positions).index_select(0, kept);
    at::Tensor& logits = predictions.logits[static_cast<size_t>(pass)];
    logits = at::matmul(states, inputs.output_weight.t());
    if (inputs.output_bias.defined()) logits = logits + inputs.output_bias;
  }
  VocabularyLoss loss = loss_of(predictions, inputs.passes, weights);
  if (inputs.teacher != nullptr) {
    add_distillation(logits_of(*inputs.teacher, kept), predictions, weights, loss);
  }
  return loss;
}

VocabularyLoss class_loss(const ClassLossInputs& inputs, const VocabularyLossWeights& weights) {
  const auto rows = static_cast<int64_t>(inputs.labels.size());
  Predictions predictions{
      .logits = {}, .labels = as_labels(inputs.labels).unsqueeze(1), .weights = at::ones({1, 1}, at::kFloat)};
  for (int64_t pass = 0; pass < inputs.passes; ++pass) {
    predictions.logits[static_cast<size_t>(pass)] = inputs.logits.narrow(0, pass * rows, rows);
  }
  VocabularyLoss loss = loss_of(predictions, inputs.passes, weights);
  if (inputs.teacher.defined()) add_distillation(inputs.teacher, predictions, weights, loss);
  return loss;
}

VocabularyLoss vocabulary_loss(const VocabularyLossInputs& inputs, const VocabularyLossWeights& weights,
                               bool fused) {
  return fused ? chunked_vocabulary_loss(inputs, weights) : plain_vocabulary_loss(inputs, weights);
}

}  // namespace megin::objective
