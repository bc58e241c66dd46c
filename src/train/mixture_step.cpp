#include "train/mixture_step.h"

#include <ATen/ATen.h>

#include <vector>

#include "routing/scores.h"

namespace megin::train {
namespace {

std::vector<int64_t> all_by(int64_t component, const data::TokenBatch& batch) {
  return std::vector<int64_t>(static_cast<size_t>(batch.sentences), component);
}

// -CE(y|z, x) + log p(z|x), [sentences, components]: of a model in evaluation.
at::Tensor joint_log_probabilities(const model::Transformer& model, const data::TokenBatch& batch,
                                   const net::ForwardContext& context, double label_smoothing) {
  const at::NoGradGuard no_gradients;
  net::ForwardContext in_use = context;
  in_use.training = false;
  const at::Tensor memory = model.encode(batch, in_use);
  const at::Tensor joint = model.log_prior(batch, memory, in_use).clone();
  for (int64_t z = 0; z < joint.size(1); ++z) {
    const at::Tensor states = model.decode(batch, memory, all_by(z, batch), in_use);
    const std::vector<double> losses =
        objective::chunked_cross_entropies({.states = states,
                                            .output_weight = model.output_weight(),
                                            .targets = batch.target_output,
                                            .output_bias = model.output_bias()},
                                           label_smoothing);
    for (int64_t row = 0; row < batch.sentences; ++row) {
      const auto first = losses.begin() + row * batch.target_length;
      double sum = 0;
      for (auto position = first; position < first + batch.target_length; ++position) sum += *position;
      joint.data_ptr<float>()[row * joint.size(1) + z] -= static_cast<float>(sum);
    }
  }
  return joint;
}

// The vocabulary loss of a decoding, with the losses of sentence i multiplied by weights[i].
objective::VocabularyLoss loss_of(const model::Transformer& model, const data::TokenBatch& batch,
                                  const at::Tensor& states, const at::Tensor& sentence_weights,
                                  const net::ForwardContext& context,
                                  const config::ObjectiveConfig& objective) {
  const at::Tensor positions =
      sentence_weights.unsqueeze(1).expand({batch.sentences, batch.target_length}).contiguous();
  const objective::VocabularyLossInputs inputs{
      .states = states,
      .output_weight = model.output_weight(),
      .targets = batch.target_output,
      .position_weights = {positions.data_ptr<float>(), static_cast<size_t>(positions.numel())},
      .output_bias = model.output_bias()};
  return objective::vocabulary_loss(inputs, objective::weights_of(objective),
                                    context.operations.fused(config::FusedPart::kVocabularyLoss));
}

void add(const objective::VocabularyLoss& one, objective::VocabularyLoss& sum) {
  sum.total = sum.total.defined() ? sum.total + one.total : one.total;
  sum.cross_entropy[0] += one.cross_entropy[0];
  sum.nll[0] += one.nll[0];
}

routing::RouteStatistics statistics_of(const at::Tensor& responsibilities) {
  const int64_t sentences = responsibilities.size(0), components = responsibilities.size(1);
  routing::RouteStatistics found{.routed = sentences};
  found.load.resize(static_cast<size_t>(components));
  found.confidences.resize(static_cast<size_t>(components));
  const at::Tensor chosen = routing::highest(responsibilities, 1);
  for (int64_t row = 0; row < sentences; ++row) {
    const auto z = static_cast<size_t>(chosen.data_ptr<int64_t>()[row]);
    const double share = responsibilities.data_ptr<float>()[row * components + static_cast<int64_t>(z)];
    ++found.load[z];
    found.confidence += share;
    found.confidences[z] += share;
  }
  found.entropy = -at::xlogy(responsibilities, responsibilities).sum().item<float>();
  return found;
}

}  // namespace

at::Tensor responsibilities(const model::Transformer& model, const data::TokenBatch& batch,
                            const net::ForwardContext& context, double label_smoothing) {
  return at::softmax(joint_log_probabilities(model, batch, context, label_smoothing), -1);
}

MixtureLoss mixture_loss(const model::Transformer& model, const data::TokenBatch& batch,
                         const net::ForwardContext& context, const config::ObjectiveConfig& objective) {
  const at::Tensor found = responsibilities(model, batch, context, objective.label_smoothing);
  const at::Tensor memory = model.encode(batch, context);
  MixtureLoss result{.loss = {}, .statistics = statistics_of(found)};
  at::Tensor shares = found;
  if (objective.expectation == config::Expectation::kHard) {
    const at::Tensor likeliest = routing::highest(found, 1);
    shares = at::zeros_like(found).scatter_(1, likeliest, 1.0);
    const at::Tensor states = model.decode(
        batch, memory, {likeliest.data_ptr<int64_t>(), static_cast<size_t>(batch.sentences)}, context);
    add(loss_of(model, batch, states, at::ones({batch.sentences}, at::kFloat), context, objective),
        result.loss);
  } else {
    for (int64_t z = 0; z < found.size(1); ++z) {
      net::ForwardContext one = context;
      one.first_pass = z;  // dropout of its own
      const at::Tensor states = model.decode(batch, memory, all_by(z, batch), one);
      add(loss_of(model, batch, states, found.select(1, z).contiguous(), context, objective), result.loss);
    }
  }
  if (config::has_learned_prior(model.config())) {
    result.loss.total = result.loss.total - (model.log_prior(batch, memory, context) * shares).sum();
  }
  return result;
}

double mixture_nll(const model::Transformer& model, const data::TokenBatch& batch,
                   const net::ForwardContext& context) {
  const at::Tensor joint = joint_log_probabilities(model, batch, context, 0.0);
  return -at::logsumexp(joint, -1).sum().item<double>();
}

}  // namespace megin::train
