// Experts of classifiers: slimming, scales, votes and splits by co-activation, from sentences.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

#include "cli/small_models.h"

namespace megin::cli {

void add_analyze_command(Program& program);
void add_calibrate_command(Program& program);
void add_classify_command(Program& program);
void add_convert_command(Program& program);

namespace {

using testing::HasSubstr;

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Of each kind of body one; sentences, and their labels as the model of that kind tells them with two
// experts.
class ClassifierExpertsTest : public SmallModelsTest, public testing::WithParamInterface<config::ModelKind> {
 protected:
  void SetUp() override {
    SmallModelsTest::SetUp();
    std::string sentences;
    for (int i = 0; i < 30; ++i) {
      for (int t = 0; t < 1 + i * 7 % 11; ++t)
        sentences += (i * 3 + t * t) % 5 == 0 ? " " : letter(i + t * t);
      sentences += '\n';
    }
    write_file_atomically(path("sentences"), sentences);
    write_model("classifier", classifier());
    std::string labelled;
    const std::vector<std::string> labels = classes("k=2"), lines = lines_of(sentences);
    for (size_t i = 0; i < lines.size(); ++i) labelled += lines[i] + "\t" + labels[i] + "\n";
    write_file_atomically(path("labels"), labelled);
  }

  static std::string letter(int number) { return {static_cast<char>('a' + number % 4)}; }
  static bool masked() { return GetParam() == config::ModelKind::kMaskedLm; }

  config::ModelConfig classifier() const {
    config::ModelConfig model = model_config();
    model.kind = GetParam();
    model.encoder_layers = masked() ? kLayers : 0;
    model.decoder_layers = masked() ? 0 : kLayers;
    model.classes = 3;
    return model;
  }

  // What megin classify says of each sentence.
  std::vector<std::string> classes(const std::string& experts,
                                   const std::string& model = "classifier") const {
    const Answer answer = run("classify", &add_classify_command,
                              {path(model), "--input", path("sentences"), "--experts", experts, "--quiet"});
    EXPECT_EQ(answer.code, 0) << answer.errors;
    return lines_of(answer.output);
  }
  // Of the sentences those that it says of as with two experts.
  int64_t right(const std::string& experts) const {
    const std::vector<std::string> wanted = classes("k=2"), found = classes(experts);
    int64_t alike = 0;
    for (size_t i = 0; i < wanted.size(); ++i) alike += wanted[i] == found[i];
    return alike;
  }
  double label_loss(const std::string& experts) const {
    const Answer answer =
        run("evaluate", &add_evaluate_command,
            {path("classifier"), "--labels", path("labels"), "--experts", experts, "--json"});
    EXPECT_EQ(answer.code, 0) << answer.errors;
    return answer.json()["loss"]["mean"];
  }
  static Answer analyze(std::vector<std::string> arguments) {
    return run("analyze", &add_analyze_command, std::move(arguments));
  }
  std::vector<float> values(const std::string& model, const std::string& tensor) const {
    const store::ModelDirectory directory = store::open_model_directory(path(model));
    const auto found = store::float_values(directory.weights.at(tensor));
    return {found.begin(), found.end()};
  }
  std::string layer(int64_t number) const {
    return (masked() ? "encoder.layers." : "decoder.layers.") + std::to_string(number);
  }
};

TEST_P(ClassifierExpertsTest, SlimmingTellsTheAccuracyOfEveryNumber) {
  ASSERT_LT(right("k=1"), 30) << "the number of experts makes a difference";
  const Answer answer =
      analyze({"slimming", path("classifier"), "--labels", path("labels"), "--json", "--csv", path("csv")});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  const auto results = answer.json()["results"];
  ASSERT_EQ(results.size(), 3u);
  for (const auto& of : results) {
    const std::string experts = "k=" + std::to_string(of["k"].get<int64_t>());
    EXPECT_EQ(of["right"], right(experts)) << experts;
    EXPECT_EQ(of["lines"], 30);
    EXPECT_DOUBLE_EQ(of["accuracy"], static_cast<double>(right(experts)) / 30);
    EXPECT_NEAR(of["loss"].get<double>(), label_loss(experts), 1e-6);
    EXPECT_FALSE(of.contains("perplexity"));
    EXPECT_GT(of["milliseconds_per_token"], 0.0);
  }
  EXPECT_THAT(read_file(path("csv")), HasSubstr(",loss_unscaled,accuracy\n"));
  const Answer table =
      analyze({"slimming", path("classifier"), "--labels", path("labels"), "--svg", path("svg")});
  EXPECT_THAT(table.output, HasSubstr("accuracy"));
  EXPECT_THAT(table.output, HasSubstr("100.00 %"));
  EXPECT_THAT(read_file(path("svg")), HasSubstr("accuracy, %"));
}

TEST_P(ClassifierExpertsTest, SlimmingGoesLayerByLayer) {
  const Answer answer =
      analyze({"slimming", path("classifier"), "--labels", path("labels"), "--per-layer", "--json"});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  const auto steps = answer.json()["steps"];
  ASSERT_EQ(steps.size(), 7u) << "4, 2 and 1 of three layers";
  for (const auto& step : steps) {
    const std::string experts = step["experts"];
    EXPECT_NEAR(step["loss"].get<double>(), label_loss(experts), 1e-6) << experts;
    EXPECT_DOUBLE_EQ(step["accuracy"], static_cast<double>(right(experts)) / 30) << experts;
  }
  const Answer two = analyze({"slimming", path("classifier"), "--labels", path("labels"), "--per-layer",
                              "--lines", "2", "--budget", "70%"});
  ASSERT_EQ(two.code, 0) << two.errors;
  EXPECT_THAT(two.output, HasSubstr("Within 70%: --experts k="));
}

TEST_P(ClassifierExpertsTest, CalibratesOnSentencesWithAndWithoutLabels) {
  const auto calibrate = [&](const std::string& out, std::vector<std::string> files) {
    files.insert(files.begin(), {path("classifier"), path(out)});
    return run("calibrate", &add_calibrate_command, files);
  };
  ASSERT_EQ(calibrate("scaled", {"--text", path("sentences")}).code, 0);
  ASSERT_EQ(calibrate("by_labels", {"--labels", path("labels")}).code, 0);
  ASSERT_EQ(calibrate("two", {"--text", path("sentences"), "--lines", "2"}).code, 0);
  for (int64_t l = 0; l < kLayers; ++l) {
    const std::string name = layer(l) + ".feed_forward.scale";
    const std::vector<float> found = values("scaled", name);
    EXPECT_EQ(found[3], 1.0F);
    EXPECT_LT(found[0], found[1]) << "means of random answers shrink";
    EXPECT_EQ(values("by_labels", name), found);
    EXPECT_NE(values("two", name), found);
  }
  EXPECT_EQ(classes("k=4", "scaled"), classes("k=4"));
  const auto slimmed = analyze({"slimming", path("scaled"), "--labels", path("labels"), "--json"}).json();
  EXPECT_EQ(slimmed["results"][0]["loss_unscaled"], label_loss("k=1"));
  EXPECT_NE(slimmed["results"][0]["loss"], label_loss("k=1"));
}

// As ExpertCommandsTest.VotesAreCountedAndTheMostVotedKept: each token chooses expert 1 or 3.
TEST_P(ClassifierExpertsTest, EveryTokenOfASentenceVotesAndTheMostVotedAreKept) {
  write_model("routed", classifier(), [](const std::string& name, std::vector<float>& values) {
    if (!name.ends_with("router.weight")) return;
    std::ranges::fill(values, 0.0F);
    values[16] = 1;
    values[48] = -1;
  });
  uint64_t tokens = 0;  // with two marks of each sentence
  const text::SubwordModel subword(path("subword"));
  for (const std::string& line : lines_of(read_file(path("sentences"))))
    tokens += subword.encode(line).size() + 2;
  const Answer answer =
      analyze({"votes", path("routed"), "--text", path("sentences"), "--active", "1", "--json"});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  ASSERT_EQ(answer.json()["layers"].size(), 3u);
  const auto all_of = answer.json()["layers"];  // a loop does not keep what json() gave
  for (const auto& of : all_of) {
    EXPECT_EQ(of["votes"][1].get<uint64_t>() + of["votes"][3].get<uint64_t>(), tokens);
    EXPECT_EQ(of["votes"][0].get<uint64_t>() + of["votes"][2].get<uint64_t>(), 0u);
  }
  const Answer labels =
      analyze({"votes", path("routed"), "--labels", path("labels"), "--active", "1", "--json"});
  EXPECT_EQ(labels.json()["layers"], answer.json()["layers"]) << labels.errors;
  write_file_atomically(path("votes"), answer.output);
  const Answer kept = run("convert", &add_convert_command,
                          {path("routed"), path("two"), "--keep-experts", "2", "--votes", path("votes")});
  ASSERT_EQ(kept.code, 0) << kept.errors;
  EXPECT_EQ(classes("k=1", "two"), classes("k=1", "routed"));
}

TEST_P(ClassifierExpertsTest, CoactivationOfSentencesFindsPlantedGroups) {
  config::ModelConfig model = classifier();
  model.experts = {};
  write_model("dense", model, planted_groups(model));
  const Answer answer = run("convert", &add_convert_command,
                            {path("dense"), path("elastic"), "--to-experts", "2", "--split", "coactivation",
                             "--text", path("sentences")});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  for (int64_t l = 0; l < kLayers; ++l) {
    const std::string name = layer(l) + ".feed_forward.fc1.weight";
    const auto before = values("dense", name), after = values("elastic", name);
    for (size_t unit = 0; unit < 24; ++unit) {
      const size_t from = unit < 12 ? 2 * unit : 2 * (unit - 12) + 1;
      EXPECT_EQ(after[unit * 16], before[from * 16]) << "layer " << l << " unit " << unit;
    }
  }
  EXPECT_EQ(classes("k=2", "elastic"), classes("auto", "dense"));
}

TEST_P(ClassifierExpertsTest, WrongFilesAreNamed) {
  const auto refused = [](const Answer& answer, int code, const std::string& wanted) {
    EXPECT_EQ(answer.code, code);
    EXPECT_THAT(answer.errors, HasSubstr(wanted));
  };
  refused(analyze({"slimming", path("classifier"), "--text", path("sentences")}), 2,
          "wanted --labels FILE (sentences with their labels) for a classifier");
  refused(analyze({"slimming", path("lm"), "--labels", path("labels")}), 2, "--labels: wanted a classifier");
  refused(analyze({"votes", path("classifier"), "--src", path("text")}), 2,
          "wanted --text FILE (sentences, one a line) or --labels FILE for a classifier");
  refused(analyze({"votes", path("lm"), "--text", path("text"), "--labels", path("labels")}), 2,
          "--labels: wanted a classifier");
  write_file_atomically(path("wrong"), "ab\tbad\nab\tterrible\n");
  refused(analyze({"slimming", path("classifier"), "--labels", path("wrong")}), 1,
          "wrong:2: wanted a label among bad, so so, good");
  write_file_atomically(path("empty"), "");
  refused(analyze({"votes", path("classifier"), "--text", path("empty")}), 1, "hold no token");
}

INSTANTIATE_TEST_SUITE_P(Bodies, ClassifierExpertsTest,
                         testing::Values(config::ModelKind::kCausalLm, config::ModelKind::kMaskedLm),
                         [](const auto& of) {
                           return of.param == config::ModelKind::kMaskedLm ? "Masked" : "Causal";
                         });

}  // namespace
}  // namespace megin::cli
