#include "config/run_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "config/recipe_fixture.h"

namespace megin::config {
namespace {

namespace fs = std::filesystem;

class RunConfigTest : public RecipeTest {};

TEST_F(RunConfigTest, AnEmptyRecipeIsTheDefaults) {
  RunConfig wanted;
  wanted.model.experts.count = 2;  // the default method is thor
  wanted.train.objective.passes = 2;
  EXPECT_EQ(load_text(""), wanted);
  EXPECT_EQ(load_text("model:\ntrain: {}\n"), wanted);
}

TEST_F(RunConfigTest, ReadsEveryKindOfField) {
  const RunConfig config = load_text(
      "data:\n"
      "  output: out\n"
      "  corpora:\n"
      "    - {format: plain, paths: [a.en, a.de], weight: 0.5}\n"
      "    - {paths: [\"b c.tmx\"], tag: <2de>}\n"
      "  subword: {kind: bpe, joint: true}\n"
      "model: {activation: swiglu, norm_epsilon: 1e-6}\n"
      "train: {seed: -3, max_minutes: 20}\n");
  ASSERT_EQ(config.data.corpora.size(), 2u);
  EXPECT_EQ(config.data.corpora[0].paths, (std::vector<std::string>{"a.en", "a.de"}));
  EXPECT_EQ(config.data.corpora[0].weight, 0.5);
  EXPECT_EQ(config.data.corpora[1].paths, std::vector<std::string>{"b c.tmx"});
  EXPECT_EQ(config.data.corpora[1].tag, "<2de>");
  EXPECT_EQ(config.data.subword.kind, SubwordKind::kBpe);
  EXPECT_EQ(config.model.activation, Activation::kSwiglu);
  EXPECT_EQ(config.model.norm_epsilon, 1e-6);
  EXPECT_EQ(config.train.seed, -3);
  EXPECT_EQ(config.train.max_minutes, 20.0);
  EXPECT_EQ(config.train.data, "out");
}

TEST_F(RunConfigTest, NamesAnUnknownKeyItsPlaceAndTheNearest) {
  EXPECT_EQ(
      error_of("model:\n  experts:\n    cuont: 2\n"),
      "recipe.yaml:3:5: unknown key 'model.experts.cuont'; did you mean 'count'? model.experts has "
      "count, body, every, offset, until, layers, sublayers, feed_forward, router, active, gate, noisy, "
      "biased, hash, "
      "distilled_input, distilled_width, shared, scales");
  EXPECT_EQ(error_of("method: thor\n"),
            "recipe.yaml:1:1: unknown key 'method'; did you mean 'train.method'?");
  EXPECT_EQ(error_of("modle: {}\n"),
            "recipe.yaml:1:1: unknown key 'modle'; did you mean 'model'? the recipe has data, model, train, "
            "include, "
            "variables");
  EXPECT_EQ(error_of("wings: 2\n"),
            "recipe.yaml:1:1: unknown key 'wings'; the recipe has data, model, train, include, variables");
  EXPECT_TRUE(error_of("", {"model.expert.count=2"})
                  .starts_with(
                      "--set model.expert.count=2: unknown key 'model.expert'; did you mean 'experts'? model "
                      "has preset, kind, width, "));
}

TEST_F(RunConfigTest, SaysWhatWasWantedAndFound) {
  EXPECT_EQ(error_of("model:\n  width: wide\n"),
            "recipe.yaml:2:10: model.width: wanted an integer, found 'wide'");
  EXPECT_EQ(error_of("model: {width: 1.5}"), "recipe.yaml:1:16: model.width: wanted an integer, found '1.5'");
  EXPECT_EQ(error_of("model: {width: }"), "recipe.yaml:1:16: model.width: wanted an integer, found nothing");
  EXPECT_EQ(error_of("model: {width: 99999999999999999999}"),
            "recipe.yaml:1:16: model.width: wanted an integer, found '99999999999999999999'");
  EXPECT_EQ(error_of("model: {dropout: [0.1]}"),
            "recipe.yaml:1:18: model.dropout: wanted a number, found a list");
  EXPECT_EQ(error_of("model: {dropout: nan}"),
            "recipe.yaml:1:18: model.dropout: wanted a number, found 'nan'");
  EXPECT_EQ(error_of("train: {validation: {bleu: yes}}"),
            "recipe.yaml:1:28: train.validation.bleu: wanted true or false, found 'yes'");
  EXPECT_EQ(error_of("train: {method: thr}"),
            "recipe.yaml:1:17: train.method: wanted one of dense, dense_group_dropout, "
            "dense_concrete_dropout, r_drop, "
            "r3f, smart, thor, thor_shared_dropout, switch, switch_sentence, switch_random, top_k, "
            "loss_free, hash, "
            "base, expert_choice, stable_moe, smoe_dropout, hash_position, random_experts, moe_tok, moe_dec; "
            "found 'thr'");
  EXPECT_EQ(error_of("model: 5"), "recipe.yaml:1:8: model: wanted a map of keys, found '5'");
  EXPECT_EQ(error_of("data: {corpora: {}}"),
            "recipe.yaml:1:17: data.corpora: wanted a list, as [a, b], found a map of keys");
  EXPECT_EQ(error_of("data: {corpora: [{paths: [a, {b: c}]}]}"),
            "recipe.yaml:1:30: data.corpora.0.paths.1: wanted a text (\"\" for none), found a map of keys");
  EXPECT_EQ(error_of("- a\n- b\n"), "recipe.yaml:1:1: wanted a map of keys, found a list");
  EXPECT_EQ(error_of("", {"train.run=\xFF"}),
            "--set train.run=\xFF: train.run: wanted text in UTF-8, found other bytes");
}

TEST_F(RunConfigTest, AMissingFileIsAFailureNotAWrongCall) {
  try {
    load("nowhere.yaml");
    FAIL();
  } catch (const UsageError&) {
    FAIL();
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("nowhere.yaml"), std::string::npos);
  }
}

TEST_F(RunConfigTest, ThePresetFillsWhatIsNotGiven) {
  const RunConfig config = load_text("model: {preset: base, width: 256}");
  EXPECT_EQ(config.model.width, 256);
  EXPECT_EQ(config.model.feed_forward, 2048);
  EXPECT_EQ(config.model.heads, 8);
  EXPECT_EQ(config.model.dropout, 0.1);
  EXPECT_EQ(load_text("model: {preset: base}", {"model.preset=small"}).model.feed_forward, 512);
  EXPECT_EQ(error_of("model: {preset: smal}"),
            "recipe.yaml:1:17: model.preset: no preset 'smal'; did you mean 'small'? wanted one of tiny, "
            "small, iwslt, "
            "base, big, multilingual, tiny_lm, base_lm, large_lm, transformer_xl, "
            "transformer_xl_8, transformer_xl_12, tiny_transformer_xl, tiny_mlm, bert, roberta");
}

TEST_F(RunConfigTest, IncludesAreReadFirstAndLaterKeysWin) {
  write("base/common.yaml", "include: deeper/first.yaml\nmodel: {preset: small, dropout: 0.2}\n");
  write("base/deeper/first.yaml", "train: {seed: 7, accumulate: 2}\nmodel: {dropout: 0.4, heads: 2}\n");
  const RunConfig config = load_text("include: base/common.yaml\ntrain: {seed: 8}\n", {"train.accumulate=3"});
  EXPECT_EQ(config.model.width, 256);
  EXPECT_EQ(config.model.dropout, 0.2);
  EXPECT_EQ(config.model.heads, 2);
  EXPECT_EQ(config.train.seed, 8);
  EXPECT_EQ(config.train.accumulate, 3);
}

TEST_F(RunConfigTest, AnErrorInAnIncludeNamesThatFile) {
  write("base.yaml", "model:\n  widht: 3\n");
  EXPECT_TRUE(error_of("include: base.yaml\n").starts_with("base.yaml:2:3: unknown key 'model.widht'"));
}

TEST_F(RunConfigTest, ACircleOfIncludesIsRefused) {
  write("a.yaml", "include: recipe.yaml\n");
  EXPECT_TRUE(error_of("include: a.yaml\n")
                  .ends_with("recipe.yaml: includes itself through a.yaml; break the circle"))
      << error_of("include: a.yaml\n");
  EXPECT_NE(error_of("include: recipe.yaml\n").find("includes itself"), std::string::npos);
}

TEST_F(RunConfigTest, VariablesComeFromSetThenEnvironmentThenTheRecipe) {
  const std::string recipe = "variables: {ROOT: /std, SUB: '${ROOT}/sub'}\ndata: {output: '${SUB}/out'}\n";
  EXPECT_EQ(load_text(recipe).data.output, "/std/sub/out");
  environment_["ROOT"] = "/env";
  EXPECT_EQ(load_text(recipe).data.output, "/env/sub/out");
  EXPECT_EQ(load_text(recipe, {"variables.SUB=/set"}).data.output, "/set/out");
}

TEST_F(RunConfigTest, AnUnsetVariableIsNamed) {
  EXPECT_EQ(error_of("data:\n  corpora:\n    - paths: ['${MEGIN_DATA}/a.tmx']\n"),
            "recipe.yaml:3:15: the variable MEGIN_DATA has no value; set it in the environment "
            "(MEGIN_DATA=... megin "
            "...) or give --set variables.MEGIN_DATA=...");
  EXPECT_EQ(error_of("variables: {A: '${B}', B: '${A}'}\ndata: {output: '${A}'}\n"),
            "recipe.yaml:1:16: the variable A is defined by itself");
  EXPECT_EQ(error_of("data: {output: '${}'}\n"),
            "recipe.yaml:1:16: wanted ${NAME}, found '${}'; a plain ${ is written $${");
  EXPECT_EQ(error_of("data: {output: 'a${B'}\n"),
            "recipe.yaml:1:16: wanted ${NAME}, found '${B'; a plain ${ is written $${");
  EXPECT_EQ(error_of("variables: [A]\n"),
            "recipe.yaml:1:12: variables: wanted a map of names and values, found a list");
  EXPECT_EQ(error_of("variables: {A: [b]}\n"), "recipe.yaml:1:13: variables.A: wanted a text, found a list");
}

TEST_F(RunConfigTest, WhatIsPrintedReadsBackAsTheSame) {
  RunConfig config = load_text(
      "data:\n"
      "  output: 'a $${b} #c: \"d\"'\n"
      "  corpora:\n"
      "    - {paths: ['x, y.en', '\xC3\xBC.de'], tag: <2de>}\n"
      "    - {paths: [null.tmx]}\n"
      "  split: {test: [{paths: ['no']}]}\n"
      "model: {preset: multilingual, norm_epsilon: 1e-6, experts: {count: 3}}\n"
      "train: {method: thor_shared_dropout, run: '', optimizer: {learning_rate: 0.1}}\n");
  EXPECT_EQ(config.data.output, "a ${b} #c: \"d\"");
  const std::string printed = to_yaml(config);
  EXPECT_EQ(load_text(printed), config);
  EXPECT_EQ(to_yaml(load_text(printed)), printed);
}

TEST_F(RunConfigTest, EveryMethodAndPresetIsUnchangedByResolvingAgain) {
  for (const char* method :
       {"dense", "r_drop", "thor", "thor_shared_dropout", "switch", "loss_free", "hash"}) {
    for (const char* preset : {"tiny", "small", "iwslt", "base", "big", "multilingual"}) {
      const RunConfig config = load_text(
          fmt::format("model: {{preset: {}}}\ntrain: {{method: {}}}\ndata: {{output: d}}\n", preset, method));
      EXPECT_EQ(load_text(to_yaml(config)), config) << method << " " << preset;
    }
  }
}

TEST_F(RunConfigTest, AModelIsWrittenAsJsonAndReadBack) {
  const ModelConfig model =
      load_text("model: {preset: big, positions: rotary, source_vocabulary: 100, target_vocabulary: 100}")
          .model;
  const nlohmann::json json = model_to_json(model);
  EXPECT_EQ(json["width"], 1024);
  EXPECT_EQ(json["positions"], "rotary");
  EXPECT_EQ(json["experts"]["count"], 2);
  EXPECT_EQ(model_from_json(json, "config.json"), model);
}

TEST_F(RunConfigTest, AWrongModelInJsonNamesTheFile) {
  const auto error_in = [](const char* text) -> std::string {
    try {
      model_from_json(nlohmann::json::parse(text), "config.json");
    } catch (const UsageError& error) {
      return error.what();
    }
    return "(no UsageError)";
  };
  EXPECT_EQ(error_in(R"({"width": "x"})"), "config.json: model.width: wanted an integer, found 'x'");
  EXPECT_TRUE(error_in(R"({"wdith": 2})")
                  .starts_with("config.json: unknown key 'model.wdith'; did you mean 'width'?"));
  EXPECT_EQ(error_in(R"([1])"), "config.json: model: wanted a map of keys, found a list");
  EXPECT_EQ(error_in(R"({"heads": 5})"),
            "config.json: model.heads: wanted a number that divides model.width (128), found 5");
}

TEST_F(RunConfigTest, SectionsMustFitTogether) {
  EXPECT_EQ(error_of("data: {subword: {joint: false}}"),
            "model.share_embeddings: all shares one vocabulary, but data.subword.joint is false; set it to "
            "true, or "
            "share_embeddings to decoder or none");
  EXPECT_EQ(error_of("{data: {max_tokens: 2000}}"),
            "data.max_tokens: wanted at most model.max_length (1024), found 2000");
}

TEST_F(RunConfigTest, CommandsNameWhatTheyMiss) {
  RunConfig config;
  EXPECT_THROW(require_for_prepare(config), UsageError);
  config.data.output = "out";
  EXPECT_THROW(require_for_prepare(config), UsageError);
  config.data.corpora.emplace_back();
  EXPECT_NO_THROW(require_for_prepare(config));
  EXPECT_THROW(require_for_train(config), UsageError);
  config.train.data = "out";
  EXPECT_THROW(require_for_train(config), UsageError);
  config.train.run = "run";
  EXPECT_NO_THROW(require_for_train(config));
}

TEST(FieldTableTest, HasARowForEveryFieldWithItsDefault) {
  const std::string table = field_table();
  for (const char* row : {"train.method ", "model.experts.every ", "data.corpora.0.paths ",
                          "data.split.valid ", "train.optimizer.beta2 "}) {
    EXPECT_NE(table.find(row), std::string::npos) << row;
  }
  EXPECT_NE(table.find("items as of data.corpora"), std::string::npos);
  EXPECT_EQ(table.find("data.split.valid.0"), std::string::npos);
  EXPECT_NE(table.find("(dense, dense_group_dropout, dense_concrete_dropout, r_drop, r3f, "),
            std::string::npos);
}

TEST(FieldTableTest, StandsInTheDocumentation) {
  const std::string page =
      read_file(fs::path(MEGIN_TEST_FILES).parent_path() / "../../docs/configuration.md");
  EXPECT_NE(page.find("```\n" + field_table() + "```\n"), std::string::npos)
      << "put the output of 'megin prepare --help-config' into the last block of docs/configuration.md";
}

const fs::path kRecipes = fs::path(MEGIN_TEST_FILES).parent_path() / "../../recipes";

RunConfig load_recipe(const fs::path& recipe) {
  return load_run_config(recipe, {}, [](const std::string&) { return std::optional<std::string>("/data"); });
}

TEST(RecipesTest, EveryRecipeOfTheProjectResolves) {
  int recipes = 0;
  for (const auto& entry : fs::recursive_directory_iterator(kRecipes)) {
    if (entry.path().extension() != ".yaml") continue;
    EXPECT_NO_THROW(load_recipe(entry.path())) << entry.path();
    ++recipes;
  }
  EXPECT_GT(recipes, 0);
}

// thor spec 4.1 (the paper's appendix C.1), fairseq's translation README, thor spec 7 (Wu et al. 2021) and
// stablemoe spec 3.
TEST(RecipesTest, FullFormsHaveThePublishedSettings) {
  struct Wanted {
    const char* recipe;
    double learning_rate;
    int64_t tokens, updates, warmup;  // tokens of an update
  };
  for (const Wanted& w : {Wanted{"thor/iwslt14/full.yaml", 1.5e-3, 32'768, 40'000, 4'000},
                          Wanted{"thor/iwslt14/full_fairseq.yaml", 5e-4, 4'096, 300'000, 4'000},
                          Wanted{"multi30k/full.yaml", 5e-3, 8'192, 8'000, 2'000},
                          Wanted{"thor/multi30k/full.yaml", 5e-3, 8'192, 8'000, 2'000},
                          Wanted{"stablemoe/full.yaml", 6e-4, 524'288, 60'000, 2'000}}) {
    const TrainConfig train = load_recipe(kRecipes / w.recipe).train;
    EXPECT_EQ(train.optimizer.learning_rate, w.learning_rate) << w.recipe;
    EXPECT_EQ(train.batch_tokens * train.accumulate, w.tokens) << w.recipe;
    EXPECT_EQ(train.max_updates, w.updates) << w.recipe;
    EXPECT_EQ(train.optimizer.warmup, w.warmup) << w.recipe;
  }
  const RunConfig thor = load_recipe(kRecipes / "thor/iwslt14/full.yaml");
  EXPECT_EQ(thor.train.objective.alpha, 5.0);
  EXPECT_EQ(thor.model.experts.count, 2);
  EXPECT_EQ(thor.model.norm_position, NormPosition::kPost);
}

TEST(RecipesTest, SwitchOfFigures10And11HasNoBalanceLoss) {
  for (const char* text : {"multi30k", "iwslt14"}) {
    const RunConfig token = load_recipe(kRecipes / "thor" / text / "switch_free_tiny.yaml");
    const RunConfig sentence = load_recipe(kRecipes / "thor" / text / "switch_sentence_free_tiny.yaml");
    EXPECT_EQ(token.train.routing.balance, 0.0) << text;
    EXPECT_EQ(token.model.experts.router, RouterKind::kTopK) << text;
    EXPECT_EQ(sentence.train.routing.balance, 0.0) << text;
    EXPECT_EQ(sentence.model.experts.router, RouterKind::kSentence) << text;
  }
}

TEST(ProcessEnvironmentTest, ReadsTheProcess) {
  EXPECT_TRUE(process_environment("PATH").has_value());
  EXPECT_FALSE(process_environment("MEGIN_NO_SUCH_VARIABLE").has_value());
}

}  // namespace
}  // namespace megin::config
