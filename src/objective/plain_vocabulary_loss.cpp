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

// D of the header.
at::Tensor divergence_from(const TeacherInputs& teacher, const at::Tensor& kept, const at::Tensor& logits,
                           const at::Tensor& by, double temperature) {
  at::Tensor theirs = at::matmul(teacher.states.index_select(0, kept), teacher.output_weight.t());
  if (teacher.output_bias.defined()) theirs = theirs + teacher.output_bias;
  const at::Tensor logt = at::log_softmax(theirs / temperature, -1).detach();
  const at::Tensor logp = at::log_softmax(logits / temperature, -1);
  return (logt.exp() * (logt - logp) * by).sum() * (temperature * temperature);
}

}  // namespace

VocabularyLoss plain_vocabulary_loss(const VocabularyLossInputs& inputs,
                                     const VocabularyLossWeights& weights) {
  const auto positions = static_cast<int64_t>(inputs.targets.size());
  const int64_t symbols = inputs.output_weight.size(0);
  const at::Tensor target =
      at::from_blob(const_cast<int32_t*>(inputs.targets.data()), {positions}, at::kInt).to(at::kLong);
  const at::Tensor kept = at::nonzero(target.ne(text::kPadId)).view(-1);
  const at::Tensor label = target.index_select(0, kept).unsqueeze(1);
  const at::Tensor by = weights_of_positions(inputs.position_weights, kept);
  const double eps = weights.label_smoothing;
  const double each = symbols > 1 ? eps / static_cast<double>(symbols - 1) : 0.0;

  VocabularyLoss loss;
  loss.total = at::zeros({}, at::kFloat);
  std::array<at::Tensor, 2> log_probabilities;
  for (int64_t pass = 0; pass < inputs.passes; ++pass) {
    const at::Tensor states = inputs.states.narrow(0, pass * positions, positions).index_select(0, kept);
    at::Tensor logits = at::matmul(states, inputs.output_weight.t());
    if (inputs.output_bias.defined()) logits = logits + inputs.output_bias;
    const at::Tensor logp = at::log_softmax(logits, -1);
    const at::Tensor nll = -(logp.gather(1, label) * by).sum();
    const at::Tensor smoothed = nll * (1.0 - eps - each) - (logp * by).sum() * each;
    loss.nll[pass] = nll.item<float>();
    loss.cross_entropy[pass] = smoothed.item<float>();
    loss.total = loss.total + smoothed * weights.cross_entropy[pass];
    log_probabilities[pass] = logp;
    if (inputs.teacher == nullptr) continue;
    const at::Tensor distillation = divergence_from(*inputs.teacher, kept, logits, by, weights.temperature);
    loss.distillation = distillation.item<float>();
    loss.total = loss.total + distillation * weights.distillation;
  }
  if (inputs.passes == 2) {
    const at::Tensor p = weights.fixed_first ? log_probabilities[0].detach() : log_probabilities[0];
    const at::Tensor& q = log_probabilities[1];
    const at::Tensor consistency = ((p.exp() - q.exp()) * (p - q) * by).sum() * 0.5;
    loss.consistency = consistency.item<float>();
    if (weights.consistency != 0) loss.total = loss.total + consistency * weights.consistency;
  }
  return loss;
}

VocabularyLoss vocabulary_loss(const VocabularyLossInputs& inputs, const VocabularyLossWeights& weights,
                               bool fused) {
  return fused ? chunked_vocabulary_loss(inputs, weights) : plain_vocabulary_loss(inputs, weights);
}

}  // namespace megin::objective
