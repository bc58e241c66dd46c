#include "config/check_together.h"

#include "base/error.h"
#include "config/active_schedule.h"
#include "config/enums.h"
#include "config/method.h"
#include "config/require.h"

namespace megin::config {
namespace {

// Values that nothing reads: a mistake in a recipe. The config.yaml of a run, which has the sizes of its
// vocabularies, may be of a version that accepted them: there they give way to the defaults, or no such run
// could be resumed.
void check_unread_routing(RunConfig& config) {
  const ExpertConfig& experts = config.model.experts;
  RoutingConfig& routing = config.train.routing;
  const bool of_a_run = config.model.target_vocabulary > 0;
  const auto only = [&](std::string_view name, auto RoutingConfig::*field, bool read,
                        std::string_view reason) {
    auto& value = routing.*field;
    const auto standard = RoutingConfig{}.*field;
    if (read || value == standard) return;
    require(of_a_run, name, fmt::format("{}, as {}", standard, reason), value);
    value = standard;
  };
  const bool distilled = experts.router == RouterKind::kDistilled;
  only("train.routing.workers", &RoutingConfig::workers,
       experts.router == RouterKind::kBase || (distilled && routing.balanced_stage),
       "only the router base, and distilled with train.routing.balanced_stage, assign tokens");
  only("train.routing.first_stage", &RoutingConfig::first_stage, distilled,
       "only the router distilled has stages");
  only("train.routing.distillation", &RoutingConfig::distillation, distilled,
       "only the router distilled learns another's choices");
  only("train.routing.bias_rate", &RoutingConfig::bias_rate, experts.biased, "model.experts.biased is false");
  only("train.routing.random_drops", &RoutingConfig::random_drops, routing.capacity > 0,
       "without a train.routing.capacity no tokens are dropped");
}

// Parts of a routing that only some routers have.
void check_routing(const RunConfig& config) {
  const ExpertConfig& experts = config.model.experts;
  const RoutingConfig& routing = config.train.routing;
  const auto needs = [](bool given, std::string_view field, bool met, std::string_view wanted) {
    if (given && !met) fail_usage("{}: wanted {}", field, wanted);
  };
  const std::string_view scores =
      "a model.experts.router with learned scores (top_k, sentence, base or distilled)";
  needs(routing.balance > 0, "train.routing.balance", is_learned(experts.router), scores);
  needs(routing.z_loss > 0, "train.routing.z_loss", is_learned(experts.router), scores);
  needs(routing.jitter > 0, "train.routing.jitter",
        is_learned(experts.router) && experts.router != RouterKind::kDistilled &&
            experts.router != RouterKind::kExpertChoice,
        "a model.experts.router with learned scores of its own (top_k, sentence or base)");
  needs(routing.balance > 0, "train.routing.balance", experts.router != RouterKind::kExpertChoice,
        "0: experts that choose have equal loads anyway");
  needs(experts.router == RouterKind::kDistilled && routing.first_stage >= config.train.max_updates,
        "train.routing.first_stage", false,
        "fewer updates than train.max_updates: the distilled router is frozen after them");
  needs(routing.capacity > 0, "train.routing.capacity",
        experts.router == RouterKind::kTopK || experts.router == RouterKind::kHash,
        "model.experts.router top_k or hash: others drop no tokens");
  needs(routing.balanced_stage, "train.routing.balanced_stage", experts.router == RouterKind::kDistilled,
        "model.experts.router distilled");
  needs(routing.z_loss > 0, "train.routing.z_loss", experts.router != RouterKind::kDistilled,
        "0: a distilled router has a balance loss and no z-loss");
  needs(routing.anchor > 0, "train.routing.anchor", routing.active_schedule != ActiveSchedule::kConstant,
        "a train.routing.active_schedule that is not constant, for updates to depart from");
  needs(routing.active_schedule != ActiveSchedule::kConstant, "train.routing.active_schedule",
        is_elastic(experts.router), "constant: only the routers top_k and fixed take any number of experts");
  needs(routing.first_active > experts.active, "train.routing.first_active", false,
        fmt::format("at most model.experts.active ({})", experts.active));
  needs(routing.second_expert == SecondExpert::kSampled, "train.routing.second_expert",
        is_elastic(experts.router) && experts.active == 2,
        "model.experts.active: 2 of the router top_k for sampled");
  const bool grows = routing.active_schedule != ActiveSchedule::kConstant;
  needs(routing.first_active > 0, "train.routing.first_active", grows,
        "a train.routing.active_schedule that is not constant");
  needs(grows && is_learned(experts.router) && experts.gate == Gate::kSoftmaxOfChosen,
        "train.routing.first_active", first_active_experts(routing, experts) > 1,
        "2 or more with the gate softmax_of_chosen: over one, a softmax is 1 and trains no router");
  needs(config.train.objective.unused_expert == UnusedExpert::kSkip, "train.objective.unused_expert",
        experts.router == RouterKind::kRandom,
        "zero_grad, as only random experts are known before the update");
}

// A default would stretch the schedule over a length that nobody chose, and a run that something else ends
// would stay at its first experts. What a run keeps, its config.yaml, always gives the key.
void check_total(const RunConfig& config, const Given& given) {
  const ActiveSchedule schedule = config.train.routing.active_schedule;
  if (!is_as_long_as_run(schedule) || given.contains("train.max_updates")) return;
  fail_usage(
      "train.max_updates: wanted the number of updates over which train.routing.active_schedule ({}) goes "
      "from {} to {} experts a token, found none; add it or --set train.max_updates=N, or set the schedule "
      "to constant",
      enum_name(schedule), first_active_experts(config.train.routing, config.model.experts),
      config.model.experts.active);
}

// Dropout of hidden units beside the plain one.
void check_unit_dropout(const RunConfig& config) {
  const ObjectiveConfig& objective = config.train.objective;
  const bool concrete = config.model.concrete_dropout > 0;
  const auto only_concrete = [&](std::string_view path, double value, double standard) {
    require(concrete || value == standard, path, fmt::format("{}, as model.concrete_dropout is 0", standard),
            value);
  };
  only_concrete("train.objective.concrete_weight", objective.concrete_weight,
                ObjectiveConfig{}.concrete_weight);
  only_concrete("train.objective.concrete_entropy", objective.concrete_entropy,
                ObjectiveConfig{}.concrete_entropy);
  const auto of_method = [&](std::string_view path, auto standard, auto found) {
    require(standard == 0 || found != 0, path,
            fmt::format("a positive number with train.method {}; without it, it is dense",
                        enum_name(config.train.method)),
            found);
  };
  const MethodTraits traits = traits_of(config.train.method);
  of_method("model.group_dropout.groups", traits.dropout_groups, config.model.group_dropout.groups);
  of_method("model.concrete_dropout", traits.concrete_dropout, config.model.concrete_dropout);
}

void check_mixture_training(const RunConfig& config) {
  const ObjectiveConfig& objective = config.train.objective;
  if (!is_mixture(config.model)) {
    require(objective.expectation == Expectation::kHard, "train.objective.expectation",
            "hard, as there is no mixture (train.method moe_tok or moe_dec)",
            enum_name(objective.expectation));
    return;
  }
  require(objective.passes == 1, "train.objective.passes", "1 with a mixture", objective.passes);
  require(objective.weight_first == 1.0, "train.objective.weight_first",
          "1 with a mixture: probabilities of components have no weights", objective.weight_first);
  require(objective.teacher.model.empty(), "train.objective.teacher.model",
          "none with a mixture, whose components share out the sentences", objective.teacher.model);
  require(objective.unused_expert == UnusedExpert::kZeroGrad, "train.objective.unused_expert",
          "zero_grad with a mixture, which has no experts to draw", enum_name(objective.unused_expert));
}

void check_masked_lm(const RunConfig& config) {
  const bool masked = is_masked_lm(config.model);
  require(masked || config.train.masking == MaskingConfig{}, "train.masking",
          fmt::format("none of its keys for a {}, which masks nothing", enum_name(config.model.kind)),
          "some");
  require(!masked || config.data.subword.mask_symbol, "data.subword.mask_symbol", "true for a masked_lm",
          false);
}

void check_classification(const RunConfig& config) {
  const bool classifies = config.data.task == Task::kClassification;
  require(classifies || config.model.classes == 0, "model.classes",
          fmt::format("0 for data.task {}; a classifier is trained with data.task classification",
                      enum_name(config.data.task)),
          config.model.classes);
  require(classifies || config.train.validation.best_by != "accuracy", "train.validation.best_by",
          "bleu or loss: accuracy is of data.task classification", config.train.validation.best_by);
  if (!classifies) return;
  const Perturbation noise = config.train.objective.perturbation.kind;
  require(noise == Perturbation::kNone, "train.objective.perturbation.kind",
          "none for data.task classification: r3f and smart train translations and texts", enum_name(noise));
}

void check_parts(const RunConfig& config) {
  check_routing(config);
  check_mixture_training(config);
  check_unit_dropout(config);
  require(!config.model.experts.scales, "model.experts.scales",
          "false in training: megin calibrate measures the scales of a model that is trained", true);
  // Two given models may still have one numbering; who opens them sees (train).
  const bool two_given = !config.data.subword.target_model.empty();
  if (shares_inputs(config.model) && !config.data.subword.joint && !two_given) {
    fail_usage(
        "model.share_embeddings: {} shares one vocabulary, but data.subword.joint is false; set it to true, "
        "or "
        "share_embeddings to decoder or none",
        enum_name(config.model.share_embeddings));
  }
  if (!is_task_of(config.data.task, config.model)) {
    fail_usage(
        "data.task: {} is for another model than model.kind {}; the presets of language models are tiny_lm, "
        "base_lm, large_lm and transformer_xl, of masked ones (data.task language_model) tiny_mlm, bert and "
        "roberta",
        enum_name(config.data.task), enum_name(config.model.kind));
  }
  check_masked_lm(config);
  check_classification(config);
  require(config.train.batch_sentences == 0 || !is_text(config.data.task), "train.batch_sentences",
          "0 for a running text, which has blocks", config.train.batch_sentences);
  if (has_memory(config.model)) {
    require(config.train.objective.perturbation.kind == Perturbation::kNone,
            "train.objective.perturbation.kind", "none with relative positions, which see what was before",
            enum_name(config.train.objective.perturbation.kind));
  }
  if (is_language_model(config.model)) {
    if (config.train.validation.bleu) {
      fail_usage("train.validation.bleu: wanted false for a {}, which translates nothing",
                 enum_name(config.model.kind));
    }
    return;
  }
  if (config.data.max_tokens > config.model.max_length) {
    fail_usage("data.max_tokens: wanted at most model.max_length ({}), found {}", config.model.max_length,
               config.data.max_tokens);
  }
}

}  // namespace

void check_together(RunConfig& config, const Given& given) {
  check_unread_routing(config);
  check_parts(config);
  check_total(config, given);
}

}  // namespace megin::config
