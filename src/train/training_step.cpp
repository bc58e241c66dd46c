#include "train/training_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "base/error.h"
#include "objective/vocabulary_loss.h"
#include "optim/gradient_norm.h"
#include "optim/schedule.h"
#include "optim/weight_average.h"

namespace megin::train {
namespace {

// The number of the expert layer that a parameter belongs to, encoder first.
// Tensors are declared encoder first and layer by layer, so the order of appearance is the number.
std::map<std::string, int64_t> expert_layers(const model::EncoderDecoder& model) {
  std::map<std::string, int64_t> number;
  for (const net::Parameter& parameter : model.parameters().all()) {
    if (parameter.experts == 0) continue;
    const std::string layer = parameter.name.substr(0, parameter.name.find(".feed_forward"));
    number.emplace(layer, static_cast<int64_t>(number.size()));
  }
  return number;
}

}  // namespace

OptimizerState::OptimizerState(const model::EncoderDecoder& model, const config::TrainConfig& config) {
  const size_t size = model.parameters().values().size();
  first_moments.assign(size, 0.0f);
  second_moments.assign(size, 0.0f);
  if (config.average_decay > 0) {
    const auto values = model.parameters().values();
    average.assign(values.begin(), values.end());
  }
  if (config.objective.unused_expert == config::UnusedExpert::kZeroGrad) {
    segments.push_back({.offset = 0, .size = size});
    owners.push_back({});
    return;
  }
  const auto layer_numbers = expert_layers(model);
  for (const net::Parameter& parameter : model.parameters().all()) {
    const int64_t parts = std::max<int64_t>(1, parameter.experts);
    for (int64_t part = 0; part < parts; ++part) {
      const auto part_size = static_cast<size_t>(parameter.size / parts);
      segments.push_back(
          {.offset = static_cast<size_t>(parameter.offset) + part * part_size, .size = part_size});
      const std::string layer = parameter.name.substr(0, parameter.name.find(".feed_forward"));
      owners.push_back(parameter.experts > 0 ? Owner{layer_numbers.at(layer), part} : Owner{});
    }
  }
}

net::Operations operations_of(const config::TrainConfig& config) {
  return config.plain_operations ? net::Operations::kPlain : net::Operations::kFused;
}

TrainingStep::TrainingStep(const config::TrainConfig& config, model::EncoderDecoder& model, ThreadPool& pool)
    : config_(config), model_(model), pool_(pool), adam_(config.optimizer) {}

net::ForwardContext TrainingStep::context(int64_t update, int64_t micro_batch) const {
  return {.training = true,
          .operations = operations_of(config_),
          .seed = static_cast<uint64_t>(config_.seed),
          .update = static_cast<uint64_t>(update),
          .micro_batch = static_cast<uint64_t>(micro_batch),
          .first_pass = 0,
          .passes = config_.objective.passes,
          .shared_dropout = config_.objective.shared_dropout,
          .pair = config_.objective.pair,
          .dispatch = {}};
}

void TrainingStep::accumulate(const data::TranslationBatch& batch, int64_t update, int64_t micro_batch,
                              UpdateReport& report) {
  const net::ForwardContext pass = context(update, micro_batch);
  const at::Tensor states = model_.forward(batch, pass);
  const objective::VocabularyLossInputs inputs{.states = states,
                                               .output_weight = model_.output_weight(),
                                               .targets = batch.target_output,
                                               .passes = pass.passes};
  const auto weights = objective::weights_of(config_.objective);
  const objective::VocabularyLoss loss = config_.plain_operations
                                             ? objective::plain_vocabulary_loss(inputs, weights)
                                             : objective::chunked_vocabulary_loss(inputs, weights);
  loss.total.backward();
  report.sentences += batch.sentences;
  report.source_tokens += batch.source_tokens;
  report.target_tokens += batch.target_tokens;
  for (size_t p = 0; p < 2; ++p) {
    report.cross_entropy[p] += loss.cross_entropy[p];
    report.nll[p] += loss.nll[p];
  }
  report.consistency += loss.consistency;
}

void TrainingStep::mark_active(int64_t update, size_t micro_batches, OptimizerState& state) const {
  if (config_.objective.unused_expert == config::UnusedExpert::kZeroGrad) return;
  std::map<std::pair<int64_t, int64_t>, bool> drawn;
  for (size_t micro_batch = 0; micro_batch < micro_batches; ++micro_batch) {
    for (int64_t pass = 0; pass < config_.objective.passes; ++pass) {
      const auto experts = model_.drawn_experts(context(update, static_cast<int64_t>(micro_batch)), pass);
      for (size_t layer = 0; layer < experts.size(); ++layer) {
        drawn[{static_cast<int64_t>(layer), experts[layer]}] = true;
      }
    }
  }
  for (size_t i = 0; i < state.segments.size(); ++i) {
    const OptimizerState::Owner owner = state.owners[i];
    state.segments[i].active = owner.expert < 0 || drawn.contains({owner.expert_layer, owner.expert});
  }
}

UpdateReport TrainingStep::run(std::span<const data::TranslationBatch> micro_batches, int64_t update,
                               OptimizerState& state) {
  UpdateReport report;
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    accumulate(micro_batches[i], update, static_cast<int64_t>(i), report);
  }
  net::ParameterMemory& parameters = model_.parameters();
  const optim::GradientNorm norm = optim::gradient_norm(parameters.gradients(), pool_);
  const double tokens = static_cast<double>(std::max<int64_t>(1, report.target_tokens));
  if (!norm.finite ||
      !std::isfinite(report.cross_entropy[0] + report.cross_entropy[1] + report.consistency)) {
    std::ranges::fill(parameters.gradients(), 0.0f);
    fail(
        "the loss or its gradient is not finite in update {} (loss {:.4g} a token): training has diverged; "
        "the checkpoints before stay; start a new run with a lower train.optimizer.learning_rate, a longer "
        "train.optimizer.warmup or train.optimizer.clip_norm=1",
        update + 1, report.cross_entropy[0] / tokens);
  }
  report.gradient_norm = norm.norm / tokens;
  report.learning_rate = optim::learning_rate(config_.optimizer, update, config_.max_updates);
  mark_active(update, micro_batches.size(), state);
  adam_.update(
      {.values = parameters.values(),
       .gradients = parameters.gradients(),
       .first_moments = state.first_moments,
       .second_moments = state.second_moments,
       .average = state.average},
      state.segments,
      {.learning_rate = report.learning_rate,
       .gradient_scale = optim::clip_factor(report.gradient_norm, config_.optimizer.clip_norm) / tokens,
       .average_decay = state.average.empty() ? 0.0 : optim::average_decay(config_.average_decay, update),
       .zero_gradients = true},
      pool_);
  return report;
}

}  // namespace megin::train
