#include "config/train_config.h"

#include "config/dispatch.h"
#include "config/enums.h"
#include "config/require.h"

namespace megin::config {
namespace {

void check_objective(const ObjectiveConfig& c) {
  require(c.passes == 1 || c.passes == 2, "train.objective.passes", "1 or 2", c.passes);
  require(c.alpha >= 0.0, "train.objective.alpha", "0 or more", c.alpha);
  require(c.weight_first >= 0.0, "train.objective.weight_first", "0 or more", c.weight_first);
  require(c.weight_second >= 0.0, "train.objective.weight_second", "0 or more", c.weight_second);
  require(c.weight_consistency >= 0.0, "train.objective.weight_consistency", "0 or more",
          c.weight_consistency);
  const TeacherConfig& d = c.teacher;
  const bool distils = !d.model.empty();
  require(c.weight_first > 0.0 || (c.passes == 2 && c.weight_second > 0.0) || (distils && d.weight > 0.0),
          "train.objective.weight_first", "a cross-entropy with a positive weight, or nothing is learnt",
          c.weight_first);
  require(d.weight >= 0.0, "train.objective.teacher.weight", "0 or more", d.weight);
  require(d.temperature > 0.0, "train.objective.teacher.temperature", "a positive number", d.temperature);
  require(distils || d == TeacherConfig{}, "train.objective.teacher.model",
          "a model to learn from with the other keys of train.objective.teacher", "none");
  require(!distils || c.passes == 1, "train.objective.passes",
          "1 with train.objective.teacher.model, whose predictions are of one pass", c.passes);
  const PerturbationConfig& p = c.perturbation;
  require(p.kind == Perturbation::kNone || c.passes == 2, "train.objective.perturbation.kind",
          "none with one pass: it is the second pass that is perturbed", enum_name(p.kind));
  require(!c.fixed_first || c.passes == 2, "train.objective.fixed_first", "false with one pass", true);
  require(p.size >= 0.0, "train.objective.perturbation.size", "0 or more", p.size);
  require(p.steps >= 0, "train.objective.perturbation.steps", "0 or more", p.steps);
  require(p.step_size >= 0.0, "train.objective.perturbation.step_size", "0 or more", p.step_size);
  require(p.start >= 0.0, "train.objective.perturbation.start", "0 or more", p.start);
  require(c.concrete_weight >= 0.0, "train.objective.concrete_weight", "0 or more", c.concrete_weight);
  require(c.concrete_entropy >= 0.0, "train.objective.concrete_entropy", "0 or more", c.concrete_entropy);
  require(c.label_smoothing >= 0.0 && c.label_smoothing < 1.0, "train.objective.label_smoothing",
          "from 0 to below 1", c.label_smoothing);
}

void check_optimizer(const OptimizerConfig& c) {
  require(c.learning_rate > 0.0, "train.optimizer.learning_rate", "a positive number", c.learning_rate);
  require(c.beta1 >= 0.0 && c.beta1 < 1.0, "train.optimizer.beta1", "from 0 to below 1", c.beta1);
  require(c.beta2 >= 0.0 && c.beta2 < 1.0, "train.optimizer.beta2", "from 0 to below 1", c.beta2);
  require(c.epsilon > 0.0, "train.optimizer.epsilon", "a positive number", c.epsilon);
  require(c.weight_decay >= 0.0, "train.optimizer.weight_decay", "0 or more", c.weight_decay);
  require(c.clip_norm >= 0.0, "train.optimizer.clip_norm", "0 (no clipping) or more", c.clip_norm);
  require(c.warmup >= 0, "train.optimizer.warmup", "0 or more updates", c.warmup);
  require(c.warmup_start >= 0.0 && c.warmup_start <= c.learning_rate, "train.optimizer.warmup_start",
          fmt::format("from 0 to train.optimizer.learning_rate ({})", c.learning_rate), c.warmup_start);
  require(c.minimum_learning_rate >= 0.0 && c.minimum_learning_rate <= c.learning_rate,
          "train.optimizer.minimum_learning_rate",
          fmt::format("from 0 to train.optimizer.learning_rate ({})", c.learning_rate),
          c.minimum_learning_rate);
}

void check_validation(const ValidationConfig& c) {
  require(c.every >= 0, "train.validation.every", "0 (only at the end) or more updates", c.every);
  require(c.beam >= 1, "train.validation.beam", "1 (greedy) or more", c.beam);
  require(c.sentences >= 0, "train.validation.sentences", "0 (all) or more", c.sentences);
  require(c.patience >= 0, "train.validation.patience", "0 (never stop) or more", c.patience);
  require(c.best_by == "bleu" || c.best_by == "loss" || c.best_by == "accuracy", "train.validation.best_by",
          "bleu, loss or accuracy", "'" + c.best_by + "'");
  require(c.best_by != "bleu" || c.bleu, "train.validation.best_by",
          "loss, as train.validation.bleu is false", c.best_by);
  try {
    if (c.experts != "auto") parse_dispatch(c.experts, 1);
  } catch (const UsageError& error) {
    fail_usage("train.validation.experts: {}", error.what());
  }
}

void check_routing(const RoutingConfig& c) {
  require(c.balance >= 0.0, "train.routing.balance", "0 or more", c.balance);
  require(c.z_loss >= 0.0, "train.routing.z_loss", "0 or more", c.z_loss);
  require(c.capacity >= 0.0, "train.routing.capacity", "0 (no limit) or more", c.capacity);
  require(c.jitter >= 0.0 && c.jitter < 1.0, "train.routing.jitter", "from 0 to below 1", c.jitter);
  require(c.bias_rate >= 0.0, "train.routing.bias_rate", "0 or more", c.bias_rate);
  require(c.first_active >= 0, "train.routing.first_active", "0 (half) or more", c.first_active);
  require(c.anchor >= 0.0 && c.anchor < 1.0, "train.routing.anchor", "a share of the updates, 0 to below 1",
          c.anchor);
  require(c.workers >= 1, "train.routing.workers", "1 or more", c.workers);
  require(c.first_stage >= 0, "train.routing.first_stage", "0 (a tenth) or more updates", c.first_stage);
  require(c.distillation > 0.0, "train.routing.distillation", "a positive number", c.distillation);
}

void check_masking(const MaskingConfig& c) {
  require(c.rate > 0.0 && c.rate < 1.0, "train.masking.rate", "a share above 0, below 1", c.rate);
  require(c.masked >= 0.0 && c.masked <= 1.0, "train.masking.masked", "a share from 0 to 1", c.masked);
  require(c.random >= 0.0 && c.masked + c.random <= 1.0, "train.masking.random",
          fmt::format("a share from 0 to what train.masking.masked ({}) leaves of 1", c.masked), c.random);
}

}  // namespace

void check(const TrainConfig& c) {
  require(c.threads >= 0, "train.threads", "0 (all processors) or more", c.threads);
  require(c.max_updates >= 1, "train.max_updates", "1 or more", c.max_updates);
  require(c.max_epochs >= 0, "train.max_epochs", "0 (no limit) or more", c.max_epochs);
  require(c.max_minutes >= 0.0, "train.max_minutes", "0 (no limit) or more", c.max_minutes);
  require(c.batch_tokens >= 1, "train.batch_tokens", "1 or more", c.batch_tokens);
  require(c.batch_sentences >= 0, "train.batch_sentences", "0 (no limit) or more", c.batch_sentences);
  require(c.accumulate >= 1, "train.accumulate", "1 or more", c.accumulate);
  check_objective(c.objective);
  check_routing(c.routing);
  check_masking(c.masking);
  check_optimizer(c.optimizer);
  check_validation(c.validation);
  require(c.log_every >= 1, "train.log_every", "1 or more updates", c.log_every);
  require(c.checkpoint_every >= 0, "train.checkpoint_every", "0 (only at the end) or more updates",
          c.checkpoint_every);
  require(c.keep_checkpoints >= 1, "train.keep_checkpoints", "1 or more", c.keep_checkpoints);
  require(c.average_checkpoints >= 0 && c.average_checkpoints <= c.keep_checkpoints,
          "train.average_checkpoints",
          fmt::format("from 0 to train.keep_checkpoints ({})", c.keep_checkpoints), c.average_checkpoints);
  require(c.average_decay >= 0.0 && c.average_decay < 1.0, "train.average_decay", "0 (off) to below 1",
          c.average_decay);
}

}  // namespace megin::config
