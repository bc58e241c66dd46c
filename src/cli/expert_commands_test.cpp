// Experts by what a text makes of them: splits by co-activation, votes, and models of the most voted experts.
#include "cli/small_models.h"

namespace megin::cli {

void add_analyze_command(Program& program);
void add_convert_command(Program& program);
void add_export_command(Program& program);

namespace {

using testing::HasSubstr;

class ExpertCommandsTest : public SmallModelsTest {
 protected:
  static Answer convert(std::vector<std::string> arguments) {
    return run("convert", &add_convert_command, std::move(arguments));
  }
  static Answer votes(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "votes");
    return run("analyze", &add_analyze_command, std::move(arguments));
  }
  std::vector<float> values(const std::string& model, const std::string& tensor) const {
    const store::ModelDirectory directory = store::open_model_directory(path(model));
    const auto found = store::float_values(directory.weights.at(tensor));
    return {found.begin(), found.end()};
  }
  config::ModelConfig dense(config::ModelConfig model) const {
    model.experts = {};
    return model;
  }
  config::ModelConfig language_model() const {
    config::ModelConfig model = model_config();
    model.kind = config::ModelKind::kCausalLm;
    model.encoder_layers = 0;
    model.decoder_layers = kLayers;
    return model;
  }
};

TEST_F(ExpertCommandsTest, CoactivationFindsPlantedGroups) {
  const config::ModelConfig model = dense(language_model());
  write_model("dense", model, planted_groups(model));
  const Answer answer = convert({path("dense"), path("elastic"), "--to-experts", "2", "--split",
                                 "coactivation", "--text", path("text")});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  for (int64_t layer = 0; layer < kLayers; ++layer) {
    const std::string name = "decoder.layers." + std::to_string(layer) + ".feed_forward.fc1.weight";
    const auto before = values("dense", name), after = values("elastic", name);
    for (size_t unit = 0; unit < 24; ++unit) {  // the first number of a row tells it from all others
      const size_t from = unit < 12 ? 2 * unit : 2 * (unit - 12) + 1;
      EXPECT_EQ(after[unit * 16], before[from * 16]) << "layer " << layer << " unit " << unit;
    }
  }
  EXPECT_NEAR(loss_of("elastic", "k=2"), loss_of("dense", "auto"), 1e-5) << "with all experts it is the same";
  EXPECT_GT(std::abs(loss_of("elastic", "k=1") - loss_of("dense", "auto")), 1e-4);
}

TEST_F(ExpertCommandsTest, CoactivationReadsWhatTheModelReads) {
  write_model("dense", dense(model_config()));
  const auto split = [&](const std::string& out, std::vector<std::string> files) {
    std::vector<std::string> arguments = {path("dense"), path(out), "--to-experts",
                                          "4",           "--split", "coactivation"};
    arguments.insert(arguments.end(), files.begin(), files.end());
    return convert(arguments);
  };
  EXPECT_EQ(split("pairs", {"--src", path("text"), "--ref", path("text")}).code, 0);
  EXPECT_EQ(split("sources", {"--src", path("text")}).code, 0);
  const Answer none = split("out", {});
  EXPECT_EQ(none.code, 2);
  EXPECT_THAT(none.errors, HasSubstr("wanted --src FILE and --ref FILE"));
  const Answer unread = convert({path("dense"), path("out"), "--to-experts", "4", "--text", path("text")});
  EXPECT_EQ(unread.code, 2);
  EXPECT_THAT(unread.errors, HasSubstr("are read for --split coactivation alone"));
  const Answer odd = convert(
      {path("dense"), path("out"), "--to-experts", "5", "--split", "coactivation", "--src", path("text")});
  EXPECT_EQ(odd.code, 2);
  EXPECT_THAT(odd.errors, HasSubstr("divides the width of the feed-forwards (24), found 5"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
}

TEST_F(ExpertCommandsTest, VotesAreCountedAndTheMostVotedKept) {
  write_model("routed", language_model(), [](const std::string& name, std::vector<float>& values) {
    if (!name.ends_with("router.weight")) return;
    // Expert 1 wants coordinate 0 to be large, expert 3 small; the others are indifferent. So with one expert
    // a token, by the sign of coordinate 0, it is 1 or 3.
    std::ranges::fill(values, 0.0F);
    values[16] = 1;
    values[48] = -1;
  });
  const Answer one = votes({path("routed"), "--text", path("text"), "--active", "1", "--json"});
  ASSERT_EQ(one.code, 0) << one.errors;
  EXPECT_EQ(one.json()["active"], 1);
  const auto layers = one.json()["layers"];
  ASSERT_EQ(layers.size(), 3u);
  const Answer info =
      run("evaluate", &add_evaluate_command, {path("routed"), "--text", path("text"), "--json"});
  const uint64_t tokens = info.json()["tokens"];
  for (size_t layer = 0; layer < 3; ++layer) {
    const auto found = layers[layer]["votes"].get<std::vector<uint64_t>>();
    EXPECT_EQ(layers[layer]["layer"], "decoder " + std::to_string(layer));
    EXPECT_EQ(found[1] + found[3], tokens);
    EXPECT_EQ(found[0] + found[2], 0u);
  }
  // With three a token, the two indifferent ones are in between and always chosen.
  const Answer three = votes({path("routed"), "--text", path("text"), "--active", "3", "--json"});
  const auto all_three = three.json()["layers"];  // a loop does not keep what json() gave
  for (const auto& layer : all_three) {
    EXPECT_EQ(layer["votes"][0], tokens);
    EXPECT_EQ(layer["votes"][2], tokens);
  }
  write_file_atomically(path("votes"), one.output);
  const Answer kept =
      convert({path("routed"), path("two"), "--keep-experts", "2", "--votes", path("votes"), "--json"});
  ASSERT_EQ(kept.code, 0) << kept.errors;
  EXPECT_EQ(kept.json()["experts"], 2);
  const config::ExpertConfig experts = store::open_model_directory(path("two")).description.model.experts;
  EXPECT_EQ(experts.count, 2);
  EXPECT_EQ(experts.active, 2);
  // One expert a token never met but these two: the smaller model is the larger one.
  EXPECT_EQ(loss_of("two", "k=1"), loss_of("routed", "k=1"));
  EXPECT_NE(loss_of("two", "k=2"), loss_of("routed", "k=4")) << "gates are shares among two";
}

// Of scores that are all alike the first expert is chosen: with one expert a token the model is that one.
TEST_F(ExpertCommandsTest, OneKeptExpertIsADenseModel) {
  write_model("indifferent", language_model(), [](const std::string& name, std::vector<float>& values) {
    if (name.ends_with("router.weight")) std::ranges::fill(values, 0.0F);
  });
  const Answer one = votes({path("indifferent"), "--text", path("text"), "--active", "1", "--json"});
  write_file_atomically(path("votes"), one.output);
  ASSERT_EQ(
      convert({path("indifferent"), path("dense"), "--keep-experts", "1", "--votes", path("votes")}).code, 0);
  EXPECT_EQ(store::open_model_directory(path("dense")).description.model, dense(language_model()));
  EXPECT_EQ(loss_of("dense", "auto"), loss_of("indifferent", "k=1"));
}

TEST_F(ExpertCommandsTest, VotesOfSeveralFilesAddUp) {
  const auto file = [&](const std::string& name, const std::string& layers) {
    write_file_atomically(path(name), "{\"layers\": " + layers + "}");
    return path(name);
  };
  const std::string first = file(
                        "a",
                        R"([{"votes": [5, 0, 0, 1]}, {"votes": [5, 0, 0, 1]}, {"votes": [5, 0, 0, 1]}])"),
                    second = file(
                        "b",
                        R"([{"votes": [0, 9, 0, 0]}, {"votes": [0, 3, 0, 0]}, {"votes": [0, 0, 9, 6]}])");
  ASSERT_EQ(convert({path("lm"), path("out"), "--keep-experts", "2", "--votes", first, second}).code, 0);
  const auto rows = [&](int64_t layer, std::vector<size_t> experts) {
    const std::string name = "decoder.layers." + std::to_string(layer) + ".feed_forward.router.weight";
    const auto before = values("lm", name), after = values("out", name);
    for (size_t i = 0; i < 2; ++i) EXPECT_EQ(after[i * 16], before[experts[i] * 16]) << "layer " << layer;
  };
  rows(0, {0, 1});
  rows(1, {0, 1});
  rows(2, {2, 3});
  const std::string other = file("c", R"([{"votes": [1, 2]}, {"votes": [1, 2]}, {"votes": [1, 2]}])");
  const auto refused = [&](std::vector<std::string> arguments, int code, const std::string& wanted) {
    arguments.insert(arguments.begin(), {path("lm"), path("none")});
    const Answer answer = convert(arguments);
    EXPECT_EQ(answer.code, code);
    EXPECT_THAT(answer.errors, HasSubstr(wanted));
    EXPECT_FALSE(std::filesystem::exists(path("none")));
  };
  refused({"--keep-experts", "2", "--votes", first, other}, 1, "they are of two models");
  refused({"--keep-experts", "1", "--votes", other}, 2, "wanted votes for 4 experts of each layer, found 2");
  refused({"--keep-experts", "4", "--votes", first}, 2,
          "wanted 1 to 3 of the 4 experts of each layer, found 4");
  refused({"--keep-experts", "9", "--votes", first}, 2,
          "wanted 1 to 3 of the 4 experts of each layer, found 9");
  refused({"--keep-experts", "2", "--votes", path("text")}, 1, "wanted the output of `megin analyze votes");
  refused({"--keep-experts", "2"}, 2, "--keep-experts: wanted --votes FILE with it");
  refused({"--votes", first}, 2, "wanted one of --to-experts N");
  refused({"--to-experts", "2", "--keep-experts", "2"}, 2, "wanted one of --to-experts N");
}

TEST_F(ExpertCommandsTest, VotesOfOtherWeightsAreRefused) {
  write_model("other", language_model(), [](const std::string& name, std::vector<float>& values) {
    if (name.ends_with("router.weight")) values[0] += 1;
  });
  const Answer counted = votes({path("lm"), "--text", path("text"), "--json"});
  ASSERT_EQ(counted.code, 0) << counted.errors;
  write_file_atomically(path("votes"), counted.output);
  const Answer refused =
      convert({path("other"), path("out"), "--keep-experts", "2", "--votes", path("votes")});
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.errors, HasSubstr("votes: wanted votes of " + path("other") + " (weights "));
  EXPECT_THAT(refused.errors, HasSubstr("found those of another model (weights " +
                                        counted.json()["weights_checksum"].get<std::string>() + ")"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  const Answer own = convert({path("lm"), path("out"), "--keep-experts", "2", "--votes", path("votes")});
  EXPECT_EQ(own.code, 0) << own.errors;
  EXPECT_THAT(own.errors, testing::Not(HasSubstr("does not say")));
  // A copy elsewhere is the same model.
  std::filesystem::copy(path("lm"), path("copy"), std::filesystem::copy_options::recursive);
  EXPECT_EQ(convert({path("copy"), path("out"), "--keep-experts", "2", "--votes", path("votes")}).code, 0);
  // What an older megin wrote.
  nlohmann::json older = counted.json();
  older.erase("weights_checksum");
  write_file_atomically(path("older"), older.dump());
  EXPECT_EQ(convert({path("other"), path("out"), "--keep-experts", "2", "--votes", path("older")}).code, 0);
}

TEST_F(ExpertCommandsTest, VotesSayWhatTheyCountAndWhatTheyCannot) {
  const Answer table =
      votes({path("translates"), "--src", path("text"), "--ref", path("text"), "--csv", path("csv")});
  ASSERT_EQ(table.code, 0) << table.errors;
  EXPECT_THAT(table.output, HasSubstr("encoder 0"));
  EXPECT_THAT(table.output, HasSubstr("each token votes for the 2 experts it chooses")) << "half of four";
  EXPECT_THAT(read_file(path("csv")), testing::StartsWith("layer,expert,votes,share\nencoder 0,0,"));
  EXPECT_EQ(votes({path("translates"), "--src", path("text"), "--lines", "3"}).code, 0);
  const Answer all = votes({path("lm"), "--text", path("text"), "--active", "4"});
  EXPECT_EQ(all.code, 2);
  EXPECT_THAT(all.errors, HasSubstr("--active: wanted 1 to 3 experts a token"));
  config::ModelConfig random = language_model();
  random.experts = {.count = 2, .every = 1};
  write_model("random", random);
  EXPECT_THAT(votes({path("random"), "--text", path("text")}).errors, HasSubstr("found the router random"));
  write_model("dense", dense(language_model()));
  EXPECT_THAT(votes({path("dense"), "--text", path("text")}).errors, HasSubstr("found a dense one"));
  write_file_atomically(path("empty"), "");
  EXPECT_EQ(votes({path("lm"), "--text", path("empty")}).code, 1);
}

}  // namespace
}  // namespace megin::cli
