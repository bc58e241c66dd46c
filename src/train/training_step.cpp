#include "train/training_step.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <utility>

#include "base/error.h"
#include "config/active_schedule.h"
#include "model/class_head.h"
#include "net/unit_dropout.h"
#include "optim/gradient_norm.h"
#include "optim/schedule.h"
#include "optim/weight_average.h"
#include "train/mixture_step.h"
#include "train/perturbation.h"
#include "train/plain_adam.h"
#include "train/predictions.h"
#include "train/teacher.h"

namespace megin::train {
namespace {

// "encoder.layers.3" of "encoder.layers.3.feed_forward.fc1.weight".
std::string layer_of(const std::string& name) {
  constexpr std::string_view kLayers = ".layers.";
  return name.substr(0, name.find('.', name.find(kLayers) + kLayers.size()));
}

// The number of the expert layer that a parameter belongs to, encoder first.
// Tensors are declared encoder first and layer by layer, so the order of appearance is the number.
std::map<std::string, int64_t> expert_layers(const model::Transformer& model) {
  std::map<std::string, int64_t> number;
  for (const net::Parameter& parameter : model.parameters().all()) {
    if (parameter.experts == 0) continue;
    number.emplace(layer_of(parameter.name), static_cast<int64_t>(number.size()));
  }
  return number;
}

// A distilled router is really frozen after the first stage: neither momentum nor weight decay moves it (the
// published code leaves both on).
OptimizerState::When when_trained(const net::Parameter& parameter) {
  if (!parameter.trained) return OptimizerState::When::kNever;
  const bool distilled = parameter.name.ends_with("router.symbols") ||
                         parameter.name.ends_with("router.centres") ||
                         parameter.name.ends_with("router.kernel");
  return distilled ? OptimizerState::When::kFirstStage : OptimizerState::When::kAlways;
}

}  // namespace

OptimizerState::OptimizerState(const model::Transformer& model, const config::TrainConfig& config) {
  const size_t size = model.parameters().values().size();
  first_moments.assign(size, 0.0f);
  second_moments.assign(size, 0.0f);
  if (config.average_decay > 0) {
    const auto values = model.parameters().values();
    average.assign(values.begin(), values.end());
  }
  const bool by_expert = config.objective.unused_expert == config::UnusedExpert::kSkip;
  const auto layer_numbers = expert_layers(model);
  const auto add = [&](size_t offset, size_t part_size, const Owner& owner) {
    if (!segments.empty() && owners.back() == owner && owner.expert < 0) {  // goes on
      segments.back().size = offset + part_size - segments.back().offset;
      return;
    }
    segments.push_back({.offset = offset, .size = part_size});
    owners.push_back(owner);
  };
  for (const net::Parameter& parameter : model.parameters().all()) {
    const int64_t parts = by_expert ? std::max<int64_t>(1, parameter.experts) : 1;
    const auto part_size = static_cast<size_t>(parameter.size / parts);
    for (int64_t part = 0; part < parts; ++part) {
      Owner owner{.trained = when_trained(parameter)};
      if (by_expert && parameter.experts > 0) {
        owner.expert_layer = layer_numbers.at(layer_of(parameter.name));
        owner.expert = part;
      }
      add(static_cast<size_t>(parameter.offset) + static_cast<size_t>(part) * part_size, part_size, owner);
    }
  }
}

net::Operations operations_of(const config::TrainConfig& config) {
  return net::Operations(config.plain_operations);
}

TrainingStep::TrainingStep(const config::TrainConfig& config, model::Transformer& model, ThreadPool& pool,
                           StepCompany company)
    : config_(config), model_(model), pool_(pool), company_(company), adam_(config.optimizer) {
  if (config::is_classifier(model.config())) company_.memory = nullptr;  // each sentence stands alone
}

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
          .dispatch = {},
          .active = config::active_by_layer_at(config_.routing, model_.config().experts, update,
                                               config_.max_updates, static_cast<uint64_t>(config_.seed),
                                               config::count_expert_layers(model_.config()))};
}

void RoutingReport::add(const RoutingReport& other) {
  statistics.load.resize(other.statistics.load.size());
  for (size_t e = 0; e < statistics.load.size(); ++e) statistics.load[e] += other.statistics.load[e];
  statistics.confidences.resize(other.statistics.confidences.size());
  for (size_t e = 0; e < statistics.confidences.size(); ++e) {
    statistics.confidences[e] += other.statistics.confidences[e];
  }
  statistics.routed += other.statistics.routed;
  statistics.dropped += other.statistics.dropped;
  statistics.confidence += other.statistics.confidence;
  statistics.entropy += other.statistics.entropy;
  balance += other.balance;
  z += other.z;
  distillation += other.distillation;
}

bool TrainingStep::passes_together() const {
  return operations_of(config_).fused(config::FusedPart::kPasses) &&
         config_.objective.perturbation.kind == config::Perturbation::kNone;
}

// The first pass as it is, and the second over embeddings with noise.
at::Tensor TrainingStep::forward_perturbed(const data::TokenBatch& batch, net::ForwardContext context,
                                           model::RouteRecord& record) const {
  const config::PerturbationConfig& perturbation = config_.objective.perturbation;
  context.passes = 1;
  const at::Tensor first = model_.forward(batch, context, &record);
  context.first_pass = 1;
  const model::EmbeddingNoise noise =
      perturbation.kind == config::Perturbation::kAdversarial
          ? find_adversarial_noise(perturbation, batch, model_, context, first)
          : draw_noise(perturbation, batch, model_, context);
  return at::cat({first, model_.forward(batch, context, &record, noise)});
}

at::Tensor TrainingStep::forward(const data::TokenBatch& batch, net::ForwardContext context,
                                 model::RouteRecord& record) const {
  if (config_.objective.perturbation.kind != config::Perturbation::kNone) {
    return forward_perturbed(batch, context, record);
  }
  if (passes_together()) return model_.forward(batch, context, &record, {}, company_.memory);
  std::vector<at::Tensor> states;
  for (int64_t pass = 0; pass < config_.objective.passes; ++pass) {
    context.first_pass = pass;
    context.passes = 1;
    states.push_back(model_.forward(batch, context, &record, {}, company_.memory));
  }
  return at::cat(states);
}

// The routers' losses are means over what they route; beside a sum over predictions they count as often as
// there are such, in every pass. Undefined when there are none.
at::Tensor TrainingStep::routing_loss(const model::RouteRecord& record, const data::TokenBatch& batch) const {
  at::Tensor sum;
  const auto add = [&](const at::Tensor& loss, double weight) {
    if (!loss.defined()) return;
    const at::Tensor weighted = loss * weight;
    sum = sum.defined() ? sum + weighted : weighted;
  };
  const double count = static_cast<double>(batch.predictions()) *
                       (passes_together() ? static_cast<double>(config_.objective.passes) : 1.0);
  for (const auto& layer : record.layers) {
    add(layer.losses.balance, count * config_.routing.balance);
    add(layer.losses.z, count * config_.routing.z_loss);
    add(layer.losses.distillation, count * config_.routing.distillation);
  }
  return sum;
}

namespace {

constexpr std::string_view kRate = "dropout.logit";

}  // namespace

std::map<std::string, double> learned_dropout_rates(const model::Transformer& model) {
  std::map<std::string, double> rates;
  for (const net::Parameter& parameter : model.parameters().all()) {
    if (!parameter.name.ends_with(kRate)) continue;
    const std::string name = parameter.name;  // encoder.layers.0.feed_forward. ...
    const size_t number = name.find("layers.") + std::string_view("layers.").size();
    const std::string layer = name.substr(number, name.find('.', number) - number);
    const double logit = model.parameters().values_of(parameter)[0];
    rates[name.substr(0, name.find('.')) + "_" + layer] = 1 / (1 + std::exp(-logit));
  }
  return rates;
}

// Of each feed-forward, as often as there are predictions, like the routers' losses. Undefined without
// concrete dropout.
at::Tensor TrainingStep::concrete_loss(const data::TokenBatch& batch) const {
  at::Tensor sum;
  if (model_.config().concrete_dropout == 0) return sum;
  const net::ParameterMemory& parameters = model_.parameters();
  for (const net::Parameter& parameter : parameters.all()) {
    if (!parameter.name.ends_with(kRate)) continue;
    const std::string prefix = parameter.name.substr(0, parameter.name.size() - kRate.size());
    const at::Tensor of_layer = net::concrete_regulariser(
        parameters.get(prefix + "fc2.weight"), parameters.get(parameter.name),
        {.weight = config_.objective.concrete_weight, .entropy = config_.objective.concrete_entropy});
    sum = sum.defined() ? sum + of_layer : of_layer;
  }
  return sum * static_cast<double>(batch.predictions());
}

namespace {

double value_of(const at::Tensor& loss) {
  return loss.defined() ? static_cast<double>(loss.item<float>()) : 0.0;
}

void add_to_place(const RoutingReport& of, std::vector<RoutingReport>& reports) {
  auto found = std::ranges::find_if(reports, [&](const RoutingReport& r) { return r.same_place(of); });
  if (found == reports.end()) {
    found = reports.insert(reports.end(),
                           RoutingReport{.mixture = of.mixture, .stack = of.stack, .layer = of.layer});
  }
  found->add(of);
}

void add_routing(const model::RouteRecord& record, std::vector<RoutingReport>& reports) {
  for (const auto& of : record.layers) {
    if (of.statistics.load.empty()) continue;
    const auto routed = static_cast<double>(of.statistics.routed);
    add_to_place({.stack = of.stack,
                  .layer = of.layer,
                  .statistics = of.statistics,
                  .balance = routed * value_of(of.losses.balance),
                  .z = routed * value_of(of.losses.z),
                  .distillation = routed * value_of(of.losses.distillation)},
                 reports);
  }
}

void add_counts(const data::TokenBatch& batch, const objective::VocabularyLoss& loss, UpdateReport& report) {
  report.sentences += batch.sentences;
  report.source_tokens += batch.source_tokens;
  report.target_tokens += batch.target_tokens;
  report.predictions += batch.predictions();
  for (size_t p = 0; p < 2; ++p) {
    report.cross_entropy[p] += loss.cross_entropy[p];
    report.nll[p] += loss.nll[p];
  }
  report.consistency += loss.consistency;
  report.distillation += loss.distillation;
}

}  // namespace

void TrainingStep::accumulate_mixture(const data::TokenBatch& batch, const net::ForwardContext& context,
                                      UpdateReport& report) const {
  const MixtureLoss found = mixture_loss(model_, batch, context, config_.objective);
  const at::Tensor regulariser = concrete_loss(batch);
  (regulariser.defined() ? found.loss.total + regulariser : found.loss.total).backward();
  add_counts(batch, found.loss, report);
  add_to_place({.mixture = true, .statistics = found.statistics}, report.routing);
}

objective::VocabularyLoss TrainingStep::loss_of(const at::Tensor& states, const data::TokenBatch& batch,
                                                const net::ForwardContext& pass) const {
  auto weights = objective::weights_of(config_.objective);
  if (config_.objective.consistency_unit == config::ConsistencyUnit::kFairseq) {
    // Both divergences and not their mean, times target tokens by sentences (thor spec 2.5).
    weights.consistency *=
        2.0 * static_cast<double>(batch.predictions()) / static_cast<double>(batch.sentences);
  }
  if (config::is_classifier(model_.config())) {
    const at::Tensor logits = model::ClassHead(model_.parameters()).logits(states, batch, pass);
    at::Tensor theirs;
    if (company_.teacher != nullptr) theirs = company_.teacher->class_logits(batch, pass.operations);
    return objective::class_loss(
        {.logits = logits, .labels = batch.labels, .passes = pass.passes, .teacher = theirs}, weights);
  }
  std::optional<objective::TeacherInputs> teacher;
  if (company_.teacher != nullptr) {
    teacher = company_.teacher->predict(batch, pass.operations, *company_.teacher_memory);
  }
  const Predictions predictions = predictions_of(model_, states, batch, pass.passes, pass.operations);
  const objective::VocabularyLossInputs inputs{.states = predictions.states,
                                               .output_weight = model_.output_weight(),
                                               .targets = predictions.targets,
                                               .passes = pass.passes,
                                               .output_bias = model_.output_bias(),
                                               .teacher = teacher ? &*teacher : nullptr};
  return objective::vocabulary_loss(inputs, weights,
                                    pass.operations.fused(config::FusedPart::kVocabularyLoss));
}

void TrainingStep::accumulate(const data::TokenBatch& batch, int64_t update, int64_t micro_batch,
                              UpdateReport& report) {
  const net::ForwardContext pass = context(update, micro_batch);
  if (config::is_mixture(model_.config())) return accumulate_mixture(batch, pass, report);
  model::RouteRecord record;
  const at::Tensor states = forward(batch, pass, record);
  const objective::VocabularyLoss loss = loss_of(states, batch, pass);
  at::Tensor total = loss.total;
  for (const at::Tensor& beside : {routing_loss(record, batch), concrete_loss(batch)}) {
    if (beside.defined()) total = total + beside;
  }
  total.backward();
  add_counts(batch, loss, report);
  add_routing(record, report.routing);
}

// b_i += rate * sign(mean load - load of i) (Wang et al. 2024, algorithm 1).
void TrainingStep::move_biases(const UpdateReport& report) {
  if (!model_.config().experts.biased) return;
  net::ParameterMemory& parameters = model_.parameters();
  for (const RoutingReport& of : report.routing) {
    const auto bias = parameters.values_of(
        parameters.find(store::expert_prefix(model_.config(), of.stack, of.layer) + "router.bias"));
    double total = 0;
    for (const int64_t load : of.statistics.load) total += static_cast<double>(load);
    for (size_t e = 0; e < bias.size(); ++e) {
      const double lack =
          total / static_cast<double>(bias.size()) - static_cast<double>(of.statistics.load[e]);
      if (lack != 0) bias[e] += static_cast<float>(std::copysign(config_.routing.bias_rate, lack));
    }
  }
}

void TrainingStep::mark_active(int64_t update, size_t micro_batches, OptimizerState& state) const {
  const bool by_expert = config_.objective.unused_expert == config::UnusedExpert::kSkip;
  std::map<std::pair<int64_t, int64_t>, bool> drawn;
  for (size_t micro_batch = 0; by_expert && micro_batch < micro_batches; ++micro_batch) {
    for (int64_t pass = 0; pass < config_.objective.passes; ++pass) {
      const auto experts = model_.drawn_experts(context(update, static_cast<int64_t>(micro_batch)), pass);
      for (size_t layer = 0; layer < experts.size(); ++layer) {
        drawn[{static_cast<int64_t>(layer), experts[layer]}] = true;
      }
    }
  }
  for (size_t i = 0; i < state.segments.size(); ++i) {
    const OptimizerState::Owner owner = state.owners[i];
    const bool trained =
        owner.trained == OptimizerState::When::kAlways ||
        (owner.trained == OptimizerState::When::kFirstStage && update < config_.routing.first_stage);
    state.segments[i].active =
        trained && (owner.expert < 0 || drawn.contains({owner.expert_layer, owner.expert}));
  }
}

// Experts go on learning under the router as it was frozen: the served average takes it over at once.
void TrainingStep::freeze_in_average(OptimizerState& state) const {
  if (state.average.empty()) return;
  for (const net::Parameter& parameter : model_.parameters().all()) {
    if (when_trained(parameter) != OptimizerState::When::kFirstStage) continue;
    std::ranges::copy(std::as_const(model_).parameters().values_of(parameter),
                      state.average.begin() + parameter.offset);
  }
}

UpdateReport TrainingStep::run(std::span<const data::TokenBatch> micro_batches, int64_t update,
                               OptimizerState& state) {
  UpdateReport report;
  for (size_t i = 0; i < micro_batches.size(); ++i) {
    accumulate(micro_batches[i], update, static_cast<int64_t>(i), report);
  }
  net::ParameterMemory& parameters = model_.parameters();
  const optim::GradientNorm norm = optim::gradient_norm(parameters.gradients(), pool_);
  const double predictions = static_cast<double>(std::max<int64_t>(1, report.predictions));
  if (!norm.finite || !std::isfinite(report.cross_entropy[0] + report.cross_entropy[1] + report.consistency +
                                     report.distillation)) {
    std::ranges::fill(parameters.gradients(), 0.0f);
    fail(
        "the loss or its gradient is not finite in update {} (loss {:.4g} a prediction): training has "
        "diverged; "
        "the checkpoints before stay; start a new run with a lower train.optimizer.learning_rate, a longer "
        "train.optimizer.warmup or train.optimizer.clip_norm=1",
        update + 1, report.cross_entropy[0] / predictions);
  }
  report.gradient_norm = norm.norm / predictions;
  report.learning_rate = optim::learning_rate(config_.optimizer, update, config_.max_updates);
  mark_active(update, micro_batches.size(), state);
  const optim::AdamMemory memory{.values = parameters.values(),
                                 .gradients = parameters.gradients(),
                                 .first_moments = state.first_moments,
                                 .second_moments = state.second_moments,
                                 .average = state.average};
  const optim::AdamStep step{
      .learning_rate = report.learning_rate,
      .gradient_scale = optim::clip_factor(report.gradient_norm, config_.optimizer.clip_norm) / predictions,
      .average_decay = state.average.empty() ? 0.0 : optim::average_decay(config_.average_decay, update),
      .zero_gradients = true};
  if (operations_of(config_).fused(config::FusedPart::kOptimizer)) {
    adam_.update(memory, state.segments, step, pool_);
  } else {
    plain_adam_update(config_.optimizer, memory, state.segments, step);
  }
  move_biases(report);
  if (update + 1 == config_.routing.first_stage) freeze_in_average(state);
  return report;
}

}  // namespace megin::train
