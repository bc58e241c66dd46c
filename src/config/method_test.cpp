// What a method, and the task, make of a recipe.
#include "config/method.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "config/recipe_fixture.h"

namespace megin::config {
namespace {

class MethodTest : public RecipeTest {};

TEST_F(MethodTest, TheMethodIsOneKeyOverASharedBase) {
  const std::string base = "model: {experts: {count: 4}}\n";
  const RunConfig dense = load_text(base, {"train.method=dense"});
  EXPECT_EQ(dense.model.experts.count, 1);
  EXPECT_EQ(dense.train.objective.passes, 1);
  const RunConfig r_drop = load_text(base, {"train.method=r_drop"});
  EXPECT_EQ(r_drop.model.experts.count, 1);
  EXPECT_EQ(r_drop.train.objective.passes, 2);
  const RunConfig thor = load_text(base, {"train.method=thor"});
  EXPECT_EQ(thor.model.experts.count, 4);
  EXPECT_EQ(thor.train.objective.passes, 2);
  EXPECT_FALSE(thor.train.objective.shared_dropout);
  const RunConfig shared = load_text(base, {"train.method=thor_shared_dropout"});
  EXPECT_EQ(shared.model.experts.count, 4);
  EXPECT_TRUE(shared.train.objective.shared_dropout);
  EXPECT_EQ(load_text("train: {method: thor}").model.experts.count, 2);
}

TEST_F(MethodTest, AGivenObjectiveWinsOverTheMethod) {
  EXPECT_EQ(load_text("train: {method: thor, objective: {passes: 1}}").train.objective.passes, 1);
  EXPECT_EQ(
      load_text("train: {method: thor, objective: {shared_dropout: true}}").train.objective.shared_dropout,
      true);
  EXPECT_EQ(load_text("train: {method: thor_shared_dropout, objective: {shared_dropout: false}}")
                .train.objective.shared_dropout,
            false);
}

TEST_F(MethodTest, ThorWantsTwoExperts) {
  EXPECT_EQ(error_of("{model: {experts: {count: 1}}, train: {method: thor}}"),
            "model.experts.count: method thor wants 2 or more experts, found 1; without experts it is "
            "train.method: r_drop");
  EXPECT_EQ(error_of("{model: {experts: {count: 1}}, train: {method: switch}}"),
            "model.experts.count: method switch wants 2 or more experts, found 1; without experts it is "
            "train.method: dense");
}

TEST_F(MethodTest, AMethodBringsItsRouter) {
  const auto of = [&](const char* method) {
    return load_text(fmt::format("model: {{experts: {{count: 4}}}}\ntrain: {{method: {}}}", method));
  };
  const RunConfig one = of("switch");
  EXPECT_EQ(one.train.objective.passes, 1);
  EXPECT_EQ(one.train.routing.balance, 0.01);
  EXPECT_EQ(one.model.experts.router, RouterKind::kTopK);
  EXPECT_EQ(one.model.experts.gate, Gate::kSoftmax);
  EXPECT_EQ(one.model.experts.active, 1);
  const RunConfig free = of("loss_free");
  EXPECT_TRUE(free.model.experts.biased);
  EXPECT_EQ(free.model.experts.active, 2);
  EXPECT_EQ(free.train.routing.balance, 0);
  EXPECT_EQ(of("hash").model.experts.router, RouterKind::kHash);
  EXPECT_EQ(of("base").model.experts.gate, Gate::kSigmoid);
  EXPECT_EQ(of("switch_random").model.experts.router, RouterKind::kUniform);
  EXPECT_EQ(of("thor").model.experts.router, RouterKind::kRandom);
  const RunConfig dense = load_text(
      "model: {experts: {count: 4, router: top_k, active: 2, gate: softmax, every: 1}}\ntrain: {method: "
      "dense}");
  EXPECT_EQ(dense.model.experts, (ExpertConfig{.every = 1}));
  const RunConfig given = load_text(
      "model: {experts: {active: 1, gate: softmax}}\ntrain: {method: top_k, routing: {balance: 0}}");
  EXPECT_EQ(given.model.experts.active, 1);
  EXPECT_EQ(given.train.routing.balance, 0);
}

TEST_F(MethodTest, RefusesWhatARouterDoesNotHave) {
  EXPECT_EQ(error_of("train: {method: thor, routing: {balance: 0.1}}"),
            "train.routing.balance: wanted a model.experts.router with learned scores (top_k, sentence, base "
            "or distilled)");
  EXPECT_EQ(error_of("train: {method: base, routing: {capacity: 1}}"),
            "train.routing.capacity: wanted model.experts.router top_k or hash: others drop no tokens");
  EXPECT_EQ(error_of("{model: {experts: {count: 2}}, train: {method: top_k}}"),
            "model.experts.count: method top_k gives each token 2 experts, so it wants more than that to "
            "choose from, found 2; set it, or model.experts.active");
  EXPECT_EQ(error_of("train: {method: stable_moe, max_updates: 10, routing: {first_stage: 10}}"),
            "train.routing.first_stage: wanted fewer updates than train.max_updates: the distilled router is "
            "frozen after them");
  EXPECT_EQ(load_text("train: {method: dense, routing: {capacity: 2}}").train.routing, RoutingConfig{});
  EXPECT_EQ(error_of("{model: {experts: {active: 5}}, train: {method: top_k}}"),
            "model.experts.active: wanted from 1 to model.experts.count (4), found 5");
  EXPECT_EQ(error_of("{model: {experts: {active: 2}}, train: {method: hash}}"),
            "model.experts.active: wanted 1 for the router hash by symbol (model.experts.hash position takes "
            "more), found "
            "2");
  EXPECT_EQ(
      error_of("{model: {experts: {gate: none}}, train: {method: switch}}"),
      "model.experts.gate: wanted softmax or sigmoid for the router top_k: without a gate nothing trains "
      "it, found none");
  EXPECT_EQ(
      error_of("train: {method: switch, objective: {unused_expert: skip}}"),
      "train.objective.unused_expert: wanted zero_grad, as only random experts are known before the update");
}

TEST_F(MethodTest, RefusesWhatNothingReads) {
  const auto error_with = [&](const char* method, const char* routing) {
    return error_of(fmt::format("train: {{method: {}, routing: {{{}}}}}", method, routing));
  };
  EXPECT_EQ(error_with("switch", "workers: 4"),
            "train.routing.workers: wanted 1, as only the router base, and distilled with "
            "train.routing.balanced_stage, assign tokens, found 4");
  EXPECT_EQ(error_with("stable_moe", "workers: 4"),
            "train.routing.workers: wanted 1, as only the router base, and distilled with "
            "train.routing.balanced_stage, assign tokens, found 4");
  EXPECT_EQ(error_with("hash", "first_stage: 30"),
            "train.routing.first_stage: wanted 0, as only the router distilled has stages, found 30");
  EXPECT_EQ(error_with("base", "distillation: 0.5"),
            "train.routing.distillation: wanted 0.3, as only the router distilled learns another's choices, "
            "found 0.5");
  EXPECT_EQ(error_with("top_k", "bias_rate: 0.01"),
            "train.routing.bias_rate: wanted 0.001, as model.experts.biased is false, found 0.01");
  EXPECT_EQ(error_with("switch", "random_drops: false"),
            "train.routing.random_drops: wanted true, as without a train.routing.capacity no tokens are "
            "dropped, found false");
  EXPECT_EQ(error_with("thor", "first_stage: 30"),
            "train.routing.first_stage: wanted 0, as only the router distilled has stages, found 30");
}

TEST_F(MethodTest, AcceptsWhatTheRouterReads) {
  const auto with = [&](const char* method, const char* routing) {
    return load_text(fmt::format("train: {{method: {}, routing: {{{}}}}}", method, routing)).train.routing;
  };
  EXPECT_EQ(with("base", "workers: 4").workers, 4);
  EXPECT_EQ(with("stable_moe", "balanced_stage: true, workers: 4").workers, 4);
  EXPECT_EQ(with("stable_moe", "first_stage: 30, distillation: 0.5").first_stage, 30);
  EXPECT_EQ(with("loss_free", "bias_rate: 0.01").bias_rate, 0.01);
  EXPECT_FALSE(with("switch", "capacity: 1.25, random_drops: false").random_drops);
  EXPECT_EQ(with("hash", "first_stage: 0, workers: 1, random_drops: true"), RoutingConfig{})
      << "the defaults";
  EXPECT_EQ(with("r_drop", "first_stage: 30, workers: 4"), RoutingConfig{}) << "no experts, no routing";
}

// Its config.yaml, which has the sizes of the vocabularies, may be of a version that accepted what nothing
// reads.
TEST_F(MethodTest, AnOlderRunIsReadWithoutWhatNothingReads) {
  const RunConfig run = load_text(
      "model: {source_vocabulary: 90, target_vocabulary: 90, experts: {count: 3}}\n"
      "train: {method: loss_free, routing: {workers: 2, first_stage: 30, distillation: 0.5, bias_rate: 0.01, "
      "random_drops: false}}\n");
  EXPECT_EQ(run.train.routing, (RoutingConfig{.bias_rate = 0.01}));
  EXPECT_EQ(load_text(to_yaml(run)), run);
}

// A task or a preset of language models brings what a running text wants.
TEST_F(MethodTest, ALanguageModelIsOneKeyAway) {
  const RunConfig lm = load_text("data: {task: language_model, source_language: fi}\n");
  EXPECT_EQ(lm.model.preset, "tiny_lm");
  EXPECT_EQ(lm.model.kind, ModelKind::kCausalLm);
  EXPECT_EQ(lm.model.encoder_layers, 0);
  EXPECT_EQ(lm.data.target_language, "fi");
  EXPECT_EQ(lm.train.objective.label_smoothing, 0.0);
  EXPECT_FALSE(lm.train.validation.bleu);
  EXPECT_EQ(lm.train.validation.best_by, "loss");
  const RunConfig smoothed = load_text(
      "data: {task: language_model}\nmodel: {preset: base_lm}\ntrain: {objective: {label_smoothing: 0.2}}\n");
  EXPECT_EQ(smoothed.model.width, 768);
  EXPECT_EQ(smoothed.train.objective.label_smoothing, 0.2);

  EXPECT_EQ(
      error_of("model: {preset: base_lm}"),
      "data.task: translation is for another model than model.kind causal_lm; the presets of language "
      "models are tiny_lm, base_lm, large_lm and transformer_xl, of masked ones (data.task language_model) "
      "tiny_mlm, bert and roberta");
  EXPECT_EQ(error_of("data: {task: language_model}\ntrain: {validation: {bleu: true}}"),
            "train.validation.bleu: wanted false for a causal_lm, which translates nothing");
}

TEST_F(MethodTest, AMaskedLanguageModelIsOneKeyAway) {
  const RunConfig mlm = load_text("{data: {task: language_model}, model: {kind: masked_lm}}");
  EXPECT_EQ(mlm.model.preset, "tiny_mlm");
  EXPECT_EQ(mlm.model.decoder_layers, 0);
  EXPECT_EQ(mlm.data.target_language, mlm.data.source_language);
  EXPECT_TRUE(mlm.data.subword.mask_symbol);
  EXPECT_EQ(mlm.train.objective.label_smoothing, 0.0);
  EXPECT_FALSE(mlm.train.validation.bleu);
  EXPECT_EQ(mlm.train.validation.best_by, "loss");
  EXPECT_EQ(mlm.train.masking, (MaskingConfig{0.15, 0.8, 0.1, false}));
  EXPECT_EQ(load_text(to_yaml(mlm)), mlm);
  const RunConfig bert = load_text(
      "{data: {task: language_model}, model: {preset: bert}, train: {masking: {rate: 0.2, whole_words: "
      "true}}}");
  EXPECT_EQ(bert.model.kind, ModelKind::kMaskedLm);
  EXPECT_TRUE(bert.train.masking.whole_words);

  EXPECT_THAT(error_of("model: {preset: bert}"),
              testing::HasSubstr("data.task: translation is for another model than model.kind masked_lm"));
  EXPECT_THAT(error_of("{data: {task: bytes}, model: {preset: bert}}"),
              testing::HasSubstr("data.task: bytes is for another model than model.kind masked_lm"));
  EXPECT_EQ(error_of("{data: {task: language_model, subword: {mask_symbol: false}}, model: {preset: bert}}"),
            "data.subword.mask_symbol: wanted true for a masked_lm, found false");
  EXPECT_EQ(error_of("{data: {task: language_model}, train: {masking: {rate: 0.2}}}"),
            "train.masking: wanted none of its keys for a causal_lm, which masks nothing, found some");
  const std::string begin = "{data: {task: language_model}, model: {preset: bert}, train: {masking: ";
  EXPECT_EQ(error_of(begin + "{rate: 0}}}"), "train.masking.rate: wanted a share above 0, below 1, found 0");
  EXPECT_EQ(
      error_of(begin + "{masked: 0.9, random: 0.2}}}"),
      "train.masking.random: wanted a share from 0 to what train.masking.masked (0.9) leaves of 1, found "
      "0.2");
  EXPECT_EQ(
      error_of("{data: {task: language_model}, model: {preset: bert}, train: {validation: {bleu: true}}}"),
      "train.validation.bleu: wanted false for a masked_lm, which translates nothing");
}

TEST_F(MethodTest, AClassifierIsOneKeyAway) {
  const RunConfig run = load_text("data: {task: classification, source_language: fi}\n");
  EXPECT_EQ(run.model.preset, "tiny_lm");
  EXPECT_EQ(run.model.classes, 0) << "the data's";
  EXPECT_EQ(run.data.target_language, "fi");
  EXPECT_EQ(run.train.objective.label_smoothing, 0.0);
  EXPECT_FALSE(run.train.validation.bleu);
  EXPECT_EQ(run.train.validation.best_by, "accuracy");
  EXPECT_EQ(load_text(to_yaml(run)), run);
  EXPECT_EQ(load_text("data: {task: classification}\ntrain: {validation: {best_by: loss}}\n")
                .train.validation.best_by,
            "loss");
  // Experts at a number that stays.
  const RunConfig half = load_text(
      "data: {task: classification}\nmodel: {experts: {count: 16, active: 8}}\n"
      "train: {method: smoe_dropout, routing: {active_schedule: constant}, batch_sentences: 16}\n");
  EXPECT_EQ(half.model.experts.active, 8);
  EXPECT_EQ(half.train.routing.active_schedule, ActiveSchedule::kConstant);

  EXPECT_EQ(error_of("data: {task: classification}\nmodel: {preset: tiny}\n"),
            "data.task: classification is for another model than model.kind encoder_decoder; the presets of "
            "language models are tiny_lm, base_lm, large_lm and transformer_xl, of masked ones (data.task "
            "language_model) tiny_mlm, bert and roberta");
  const RunConfig masked = load_text("{data: {task: classification}, model: {kind: masked_lm}}");
  EXPECT_EQ(masked.model.preset, "tiny_mlm");
  EXPECT_EQ(masked.train.validation.best_by, "accuracy");
  EXPECT_EQ(load_text("data: {task: classification}\n"
                      "train: {method: dense, objective: {teacher: {model: runs/x}}}\n")
                .train.objective.teacher.model,
            "runs/x");
  EXPECT_EQ(error_of("data: {task: language_model}\nmodel: {classes: 2}\n"),
            "model.classes: wanted 0 for data.task language_model; a classifier is trained with data.task "
            "classification, found 2");
  EXPECT_EQ(error_of("data: {task: language_model}\ntrain: {validation: {best_by: accuracy}}\n"),
            "train.validation.best_by: wanted bleu or loss: accuracy is of data.task classification, found "
            "accuracy");
  EXPECT_EQ(
      error_of("data: {task: classification}\ntrain: {method: r3f}\n"),
      "train.objective.perturbation.kind: wanted none for data.task classification: r3f and smart train "
      "translations and texts, found normal");
  EXPECT_EQ(error_of("data: {task: language_model}\ntrain: {batch_sentences: 4}\n"),
            "train.batch_sentences: wanted 0 for a running text, which has blocks, found 4");
}

TEST_F(MethodTest, BytesAreALanguageModel) {
  const RunConfig lm = load_text(
      "data: {task: bytes, corpora: [{paths: [a]}], bytes: {newlines: drop, valid_bytes: 5, test_bytes: "
      "3}}\n");
  EXPECT_EQ(lm.model.preset, "tiny_lm");
  EXPECT_EQ(lm.data.target_language, lm.data.source_language);
  EXPECT_EQ(lm.data.bytes, (BytesConfig{Newlines::kDrop, 5, 3}));
  EXPECT_EQ(load_text(to_yaml(lm)), lm);
  EXPECT_THAT(error_of("{data: {task: bytes}, model: {preset: tiny}}"),
              testing::HasSubstr("data.task: bytes is for another model than model.kind encoder_decoder"));
}

TEST_F(MethodTest, SmoeDropoutGrowsToAllExperts) {
  const RunConfig config = load_text("train: {method: smoe_dropout, max_updates: 500}\n");
  EXPECT_EQ(config.model.experts.count, 16);
  EXPECT_EQ(config.model.experts.active, 16);
  EXPECT_EQ(config.model.experts.router, RouterKind::kFixed);
  EXPECT_EQ(config.train.routing.active_schedule, ActiveSchedule::kLinear);
  const RunConfig four = load_text(
      "model: {experts: {count: 4, active: 3}}\n"
      "train: {method: smoe_dropout, routing: {active_schedule: random}}\n");
  EXPECT_EQ(four.model.experts.active, 3);
  EXPECT_EQ(four.train.routing.active_schedule, ActiveSchedule::kRandom);
  EXPECT_EQ(error_of("train: {method: smoe_dropout}"),
            "train.max_updates: wanted the number of updates over which train.routing.active_schedule "
            "(linear) goes from 8 to 16 experts a token, found none; add it or --set train.max_updates=N, or "
            "set the schedule to constant");
  // Its default counts where it is given, and so it does in what a run keeps.
  const RunConfig set = load_text("train: {method: smoe_dropout}", {"train.max_updates=10000"});
  EXPECT_EQ(load_text(to_yaml(set)), set);
  for (const char* schedule : {"cosine", "exponential", "doubling"}) {
    const std::string routing = fmt::format("routing: {{active_schedule: {}}}", schedule);
    EXPECT_THAT(error_of(fmt::format("train: {{method: smoe_dropout, {}}}", routing)),
                testing::HasSubstr(fmt::format("train.routing.active_schedule ({})", schedule)));
    EXPECT_EQ(load_text(fmt::format("train: {{method: dense, {}}}", routing)).train.max_updates, 10000)
        << "without experts there is no schedule";
  }
  EXPECT_EQ(
      load_text("train: {method: smoe_dropout, routing: {active_schedule: constant}}\n").train.max_updates,
      10000);
  EXPECT_THAT(error_of("train: {method: hash, routing: {active_schedule: linear}}"),
              testing::HasSubstr("only the routers top_k and fixed"));
  EXPECT_THAT(
      error_of("train: {method: top_k, routing: {active_schedule: linear}}"),
      testing::HasSubstr("train.routing.first_active: wanted 2 or more with the gate softmax_of_chosen"));
  EXPECT_THAT(error_of("train: {method: top_k, routing: {first_active: 1}}"),
              testing::HasSubstr("train.routing.first_active: wanted a train.routing.active_schedule"));
  EXPECT_EQ(load_text("train: {method: thor, objective: {perturbation: {kind: adversarial}}}\n")
                .train.objective.perturbation.size,
            0.3);
  EXPECT_EQ(load_text("train: {method: smart, objective: {perturbation: {kind: uniform}}}\n")
                .train.objective.perturbation.size,
            1e-5);
  EXPECT_THAT(error_of("train: {method: smoe_dropout, routing: {first_active: 17}}"),
              testing::HasSubstr("at most model.experts.active (16)"));
}

// The layer that the others' experts stand in stays: a control that costs as much (stablemoe spec 2).
TEST_F(MethodTest, ADenseModelKeepsAnInsertedLayer) {
  const RunConfig config = load_text(
      "model: {experts: {count: 8, body: insert, sublayers: 3, feed_forward: 64}}\n"
      "train: {method: dense}\n");
  EXPECT_EQ(config.model.experts.count, 1);
  EXPECT_EQ(config.model.experts.body, ExpertBody::kInsert);
  EXPECT_EQ(config.model.experts.sublayers, 3);
  EXPECT_EQ(config.model.experts.feed_forward, 64);
  EXPECT_TRUE(has_inserted_layer(config.model, Stack::kEncoder, 1));
}

TEST_F(MethodTest, AMixtureIsOnlyOfItsMethods) {
  const RunConfig tok = load_text("train: {method: moe_tok}");
  EXPECT_EQ(tok.model.mixture.components, 2);
  EXPECT_EQ(tok.model.mixture.kind, MixtureKind::kBegin);
  EXPECT_EQ(tok.model.experts.count, 1);
  EXPECT_EQ(tok.train.objective.passes, 1);
  const RunConfig dec =
      load_text("{model: {mixture: {components: 3, prior: uniform}}, train: {method: moe_dec}}");
  EXPECT_EQ(dec.model.mixture.components, 3);
  EXPECT_EQ(dec.model.mixture.kind, MixtureKind::kDecoder);
  EXPECT_EQ(dec.model.mixture.prior, MixturePrior::kUniform);
  const std::string base = "model: {mixture: {components: 3}, experts: {count: 4}}\n";
  EXPECT_EQ(load_text(base, {"train.method=thor"}).model.mixture, MixtureConfig{});
  EXPECT_EQ(
      error_of("{model: {mixture: {components: 1}}, train: {method: moe_tok}}"),
      "model.mixture.components: method moe_tok wants 2 or more, found 1; of one it is train.method: dense");
  EXPECT_EQ(error_of("train: {method: moe_dec, objective: {passes: 2}}"),
            "train.objective.passes: wanted 1 with a mixture, found 2");
  EXPECT_EQ(
      error_of("train: {method: dense, objective: {expectation: soft}}"),
      "train.objective.expectation: wanted hard, as there is no mixture (train.method moe_tok or moe_dec), "
      "found soft");
  EXPECT_EQ(error_of("{model: {kind: causal_lm}, data: {task: language_model}, train: {method: moe_tok}}")
                .substr(0, 60),
            "model.mixture.components: wanted 1 in a causal_lm: it is of ");
}

TEST_F(MethodTest, BaselinesOfSmoeDropoutAreOneKeyApart) {
  const RunConfig groups = load_text("train: {method: dense_group_dropout}");
  EXPECT_EQ(groups.model.experts.count, 1);
  EXPECT_EQ(groups.model.group_dropout, (GroupDropoutConfig{.groups = 16, .rate = 0.5}));
  const RunConfig concrete = load_text("train: {method: dense_concrete_dropout}");
  EXPECT_EQ(concrete.model.experts.count, 1);
  EXPECT_EQ(concrete.model.concrete_dropout, 0.1);
  EXPECT_EQ(load_text("train: {method: dense}").model.concrete_dropout, 0.0);
  EXPECT_EQ(load_text("train: {method: dense}").model.group_dropout.groups, 0);
  const RunConfig position = load_text("train: {method: hash_position}");
  EXPECT_EQ(position.model.experts.router, RouterKind::kHash);
  EXPECT_EQ(position.model.experts.hash, HashTable::kPosition);
  EXPECT_EQ(position.model.experts.count, 4);
  EXPECT_EQ(position.model.experts.active, 2);
  EXPECT_EQ(position.model.experts.gate, Gate::kMean);
  const RunConfig random = load_text("train: {method: random_experts}");
  EXPECT_EQ(random.model.experts.router, RouterKind::kUniform);
  EXPECT_EQ(random.model.experts.active, 2);
  EXPECT_EQ(random.model.experts.gate, Gate::kSoftmaxOfChosen);
  EXPECT_EQ(load_text("{model: {experts: {active: 1}}, train: {method: random_experts}}").model.experts.gate,
            Gate::kNone)
      << "one has no share";
}

TEST_F(MethodTest, DropoutOfHiddenUnitsIsOfDenseModels) {
  using testing::HasSubstr;
  EXPECT_THAT(error_of("{model: {group_dropout: {groups: 4}}, train: {method: thor}}"),
              HasSubstr("model.group_dropout.groups: wanted 0 in a model of experts"));
  EXPECT_THAT(error_of("{model: {concrete_dropout: 0.1}, train: {method: thor}}"),
              HasSubstr("model.concrete_dropout: wanted 0 in a model of experts"));
  EXPECT_THAT(error_of("{model: {group_dropout: {rate: 0.3}}, train: {method: dense}}"),
              HasSubstr("model.group_dropout.rate: wanted 0.5, as model.group_dropout.groups is 0"));
  EXPECT_THAT(error_of("{model: {group_dropout: {groups: 0}}, train: {method: dense_group_dropout}}"),
              HasSubstr("model.group_dropout.groups: wanted a positive number with train.method"));
  EXPECT_THAT(error_of("train: {method: dense, objective: {concrete_weight: 0.1}}"),
              HasSubstr("train.objective.concrete_weight: wanted 1e-06, as model.concrete_dropout is 0"));
  EXPECT_THAT(error_of("{model: {experts: {hash: position}}, train: {method: thor}}"),
              HasSubstr("model.experts.hash: wanted balanced, its default, for the router random"));
  EXPECT_THAT(error_of("{model: {experts: {scales: true}}, train: {method: smoe_dropout}}"),
              HasSubstr("model.experts.scales: wanted false in training"));
  EXPECT_THAT(error_of("{model: {experts: {gate: softmax}}, train: {method: random_experts}}"),
              HasSubstr("model.experts.gate: wanted mean or softmax_of_chosen"));
}

TEST_F(MethodTest, AnAnchorNeedsAScheduleToDepartFrom) {
  const RunConfig config =
      load_text("train: {method: smoe_dropout, max_updates: 9, routing: {anchor: 0.1, first_active: 2}}");
  EXPECT_EQ(config.train.routing.anchor, 0.1);
  EXPECT_EQ(load_text("train: {method: smoe_dropout, routing: {active_schedule: random_by_layer}}")
                .train.routing.active_schedule,
            ActiveSchedule::kRandomByLayer);
  EXPECT_THAT(error_of("train: {method: smoe_dropout, routing: {anchor: 1}}"),
              testing::HasSubstr("train.routing.anchor: wanted a share of the updates"));
  EXPECT_THAT(error_of("train: {method: top_k, routing: {anchor: 0.1}}"),
              testing::HasSubstr("train.routing.anchor: wanted a train.routing.active_schedule that is not"));
}

}  // namespace
}  // namespace megin::config
