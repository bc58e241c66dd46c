// Fewer experts a token: slimming, layer by layer too, and the scales that megin calibrate measures.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

#include "cli/slimming.h"
#include "cli/small_models.h"

namespace megin::cli {

void add_analyze_command(Program& program);
void add_average_command(Program& program);
void add_calibrate_command(Program& program);
void add_info_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SlimmingTest : public SmallModelsTest {
 protected:
  static Answer analyze(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "slimming");
    return run("analyze", &add_analyze_command, std::move(arguments));
  }
  static Answer calibrate(std::vector<std::string> arguments) {
    return run("calibrate", &add_calibrate_command, std::move(arguments));
  }
  std::vector<float> scales(const std::string& model, const std::string& layer) const {
    const store::ModelDirectory directory = store::open_model_directory(path(model));
    const auto found = store::float_values(directory.weights.at(layer + ".feed_forward.scale"));
    return {found.begin(), found.end()};
  }
};

TEST_F(SlimmingTest, LowersLayersUntilTheBudgetIsMet) {
  const Answer answer =
      analyze({path("lm"), "--text", path("text"), "--per-layer", "--budget", "80%", "--json"});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  const auto steps = answer.json()["steps"];
  ASSERT_GE(steps.size(), 2u);
  EXPECT_EQ(steps[0]["experts"], "k=4,4,4");
  EXPECT_EQ(answer.json()["experts"], steps.back()["experts"]);
  const double all = steps[0]["flops_per_token"];
  EXPECT_LE(steps.back()["flops_per_token"].get<double>(), 0.8 * all);
  EXPECT_GT(steps[steps.size() - 2]["flops_per_token"].get<double>(), 0.8 * all);
  // Of a layer 2 * 16 * 24 + ... weights an expert: lowering one from 4 to 2 saves two experts' products.
  EXPECT_EQ(all - steps[1]["flops_per_token"].get<double>(), 2.0 * 2 * (2 * 16 * 24));
  double least = 1e9;
  for (const char* one : {"k=2,4,4", "k=4,2,4", "k=4,4,2"}) least = std::min(least, loss_of("lm", one));
  EXPECT_NEAR(steps[1]["loss"].get<double>(), least, 1e-6) << "the step that costs the least loss";
  for (const auto& step : steps) {
    EXPECT_NEAR(step["loss"].get<double>(), loss_of("lm", step["experts"]), 1e-6) << step;
  }
}

TEST_F(SlimmingTest, MeasuresOnSoManyLinesAndSaysWhatDoesNotFit) {
  const Answer all =
      analyze({path("translates"), "--src", path("text"), "--ref", path("text"), "--per-layer"});
  ASSERT_EQ(all.code, 0) << all.errors;
  EXPECT_THAT(all.output, HasSubstr("k=4,4,4"));
  EXPECT_THAT(all.output, HasSubstr("k=1,1,1")) << "without a budget the search goes to its end";
  EXPECT_THAT(all.output, testing::Not(HasSubstr("Within")));
  const auto first_loss = [&](const char* lines) {
    return analyze({path("lm"), "--text", path("text"), "--per-layer", "--lines", lines, "--json"})
        .json()["steps"][0]["loss"]
        .get<double>();
  };
  EXPECT_NE(first_loss("2"), first_loss("200"));
  EXPECT_NEAR(first_loss("200"), loss_of("lm", "router"), 1e-6);

  const Answer none = analyze({path("lm"), "--text", path("text"), "--per-layer", "--budget", "1%"});
  EXPECT_EQ(none.code, 1);
  EXPECT_THAT(none.errors, HasSubstr("no numbers of experts keep a token within 1%"));
  EXPECT_EQ(analyze({path("lm"), "--text", path("text"), "--budget", "120%"}).code, 2);
  const Answer share = analyze({path("lm"), "--text", path("text"), "--budget", "80%"});
  ASSERT_EQ(share.code, 0) << share.errors;
  EXPECT_THAT(share.output, HasSubstr("Within 80%: --experts k=2\n"));
}

// Of 25,344 FLOPs with all four experts (three layers of attention 2,048, router 128 and 1,536 for each
// expert, and 12 symbols' 384) three keep 20,736, 82 %; two 64 %.
TEST_F(SlimmingTest, AShareAllowsNumbersBetweenThePowersOfTwo) {
  const Answer answer = analyze({path("lm"), "--text", path("text"), "--budget", "85%", "--json"});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  EXPECT_EQ(answer.json()["k"], 3);
  const auto results = answer.json()["results"];
  ASSERT_EQ(results.size(), 4u) << "1, 2 and 4, and the one that was found";
  EXPECT_EQ(results[2]["k"], 3);
  EXPECT_EQ(results[2]["flops_per_token"], 20736);
  EXPECT_EQ(results[3]["flops_per_token"], 25344);
  EXPECT_NEAR(results[2]["loss"].get<double>(), loss_of("lm", "k=3"), 1e-6);
  EXPECT_GT(results[2]["milliseconds_per_token"], 0.0);
  const Answer time = analyze({path("lm"), "--text", path("text"), "--budget", "10s", "--json"});
  EXPECT_EQ(time.json()["k"], 4);
  EXPECT_EQ(time.json()["results"].size(), 3u);
}

TEST_F(SlimmingTest, TheLargestNumberThatFitsIsFound) {
  for (const int64_t count : {1, 2, 6, 8, 13, 64}) {
    for (int64_t most = 0; most <= count; ++most) {
      std::vector<int64_t> tried;  // a token takes as many milliseconds as experts
      const auto found = largest_fitting(count, [&](int64_t active) {
        tried.push_back(active);
        return active <= most;
      });
      EXPECT_EQ(found.value_or(0), most) << "of " << count;
      EXPECT_LE(tried.size(), 8u) << "each is a measurement";
    }
  }
}

// A token of each side meets two experts less in each of the three layers: 3 * 2 * 1,536 FLOPs, whether the
// number is one for all layers or one for each.
TEST_F(SlimmingTest, SharesAreOfBothSidesInBothForms) {
  const auto flops = [&](std::vector<std::string> more, const char* list) {
    more.insert(more.begin(), {path("translates"), "--src", path("text"), "--ref", path("text"), "--json"});
    const Answer answer = analyze(more);
    EXPECT_EQ(answer.code, 0) << answer.errors;
    std::vector<double> found;
    const auto all_of = answer.json()[list];  // a loop does not keep what json() gave
    for (const auto& of : all_of) found.push_back(of["flops_per_token"]);
    return found;
  };
  const std::vector<double> same = flops({}, "results"), by_layer = flops({"--per-layer"}, "steps");
  ASSERT_EQ(same.size(), 3u);
  EXPECT_EQ(same[2] - same[1], 9216);
  EXPECT_EQ(same[1] - same[0], 4608);
  EXPECT_EQ(by_layer.front(), same[2]);
  EXPECT_EQ(by_layer.back(), same[0]);
}

// A safetensors file is 8 bytes, the length of its header, the header, and the weights.
TEST_F(SlimmingTest, MemoryIsThatOfAllExperts) {
  const std::string file = read_file(path("lm") + "/model.safetensors");
  uint64_t header = 0;
  std::memcpy(&header, file.data(), sizeof(header));
  const double weights = static_cast<double>(file.size() - 8 - header) / (1 << 20);
  const auto found = analyze({path("lm"), "--text", path("text"), "--json"}).json();
  EXPECT_DOUBLE_EQ(found["weights_mib"], weights);
  EXPECT_DOUBLE_EQ(found["results"].back()["active_weights_mib"], weights);
  EXPECT_LT(found["results"][0]["active_weights_mib"], weights);
  EXPECT_GT(found["peak_resident_mib"], weights);
  const Answer table = analyze({path("lm"), "--text", path("text")});
  EXPECT_THAT(table.output, HasSubstr("weights a token meets, MiB"));
  EXPECT_THAT(table.output, HasSubstr("Memory: 0.1 MiB of weights, as all experts are loaded"));
  EXPECT_DOUBLE_EQ(
      analyze({path("lm"), "--text", path("text"), "--per-layer", "--json"}).json()["weights_mib"], weights);
}

TEST_F(SlimmingTest, PicturesHaveADotForEveryRow) {
  const auto dots = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {path("lm"), "--text", path("text"), "--svg", path("svg")});
    const Answer answer = analyze(more);
    EXPECT_EQ(answer.code, 0) << answer.errors;
    const std::string svg = read_file(path("svg"));
    EXPECT_THAT(svg, HasSubstr("Loss by cost"));
    EXPECT_THAT(svg, HasSubstr("loss, nats a token"));
    int found = 0;
    for (size_t at = 0; (at = svg.find("<circle", at)) != std::string::npos; ++at) ++found;
    return found;
  };
  EXPECT_EQ(dots({}), 3) << "1, 2 and 4";
  EXPECT_THAT(read_file(path("svg")), HasSubstr("from 1 to 4 experts a token"));
  EXPECT_THAT(read_file(path("svg")), HasSubstr("time of a token, ms"));
  EXPECT_EQ(dots({"--budget", "85%"}), 4) << "and 3";
  EXPECT_EQ(dots({"--per-layer"}), 7) << "three layers lowered twice";
  EXPECT_THAT(read_file(path("svg")), HasSubstr("from k=4,4,4 to k=1,1,1"));
  EXPECT_THAT(read_file(path("svg")), HasSubstr("MFLOP a token"));
}

TEST_F(SlimmingTest, ALineThatIsTooLongGetsAdviceThatCanBeFollowed) {
  std::string line;
  for (int i = 0; i < 40; ++i) line += "ab ";
  write_file_atomically(path("long"), "ab\n" + line + "\n");
  write_file_atomically(path("short"), "ab\ncd\n");
  const Answer answer = analyze({path("translates"), "--src", path("long"), "--ref", path("short")});
  EXPECT_EQ(answer.code, 1);
  EXPECT_THAT(answer.errors, HasSubstr("line 2: wanted at most 30 tokens, end mark included, found "));
  EXPECT_THAT(answer.errors, HasSubstr("; split the line or take it out (megin translate also cuts off"));
  EXPECT_THAT(answer.errors, testing::Not(HasSubstr("choose to")));
}

TEST_F(SlimmingTest, CalibratedModelsScaleWhatFewerExpertsAnswer) {
  ASSERT_EQ(calibrate({path("lm"), path("scaled"), "--text", path("text")}).code, 0);
  for (const char* layer : {"decoder.layers.0", "decoder.layers.1", "decoder.layers.2"}) {
    const std::vector<float> found = scales("scaled", layer);
    ASSERT_EQ(found.size(), 4u);
    EXPECT_EQ(found[3], 1.0F);
    for (size_t k = 0; k < 3; ++k)
      EXPECT_LT(found[k], found[k + 1]) << "means of random answers shrink with k";
  }
  const Answer answer = analyze({path("scaled"), "--text", path("text"), "--json", "--csv", path("csv")});
  ASSERT_EQ(answer.code, 0) << answer.errors;
  const auto all_of = answer.json()["results"];  // a loop does not keep what json() gave
  for (const auto& of : all_of) {
    const std::string experts = "k=" + std::to_string(of["k"].get<int64_t>());
    EXPECT_EQ(of["loss"], loss_of("scaled", experts));
    EXPECT_EQ(of["loss_unscaled"], loss_of("lm", experts)) << "as before calibration";
    EXPECT_EQ(of["loss_unscaled"], loss_of("scaled", experts, true));
    const bool as_made = of["k"] == kExperts;
    EXPECT_EQ(of["loss"] == of["loss_unscaled"], as_made) << "scales of 1 change no bit";
  }
  EXPECT_EQ(loss_of("scaled", "router"), loss_of("lm", "router"));
  EXPECT_THAT(read_file(path("csv")), HasSubstr("milliseconds_per_token,loss_unscaled,accuracy\n"));
  EXPECT_THAT(analyze({path("scaled"), "--text", path("text")}).output, HasSubstr("unscaled"));
  EXPECT_FALSE(
      analyze({path("lm"), "--text", path("text"), "--json"}).json()["results"][0].contains("loss_unscaled"));

  // The mean of calibrated models has no scales.
  ASSERT_EQ(run("average", &add_average_command, {path("mean"), path("scaled"), path("scaled")}).code, 0);
  EXPECT_FALSE(store::open_model_directory(path("mean")).description.model.experts.scales);
  EXPECT_EQ(loss_of("mean", "k=2"), loss_of("lm", "k=2"));
  const Answer info = run("info", &add_info_command, {path("scaled")});
  EXPECT_THAT(info.output, HasSubstr("k=K,K,... (3 expert layers)"));
  EXPECT_THAT(info.output, HasSubstr("whose outputs are scaled"));
}

TEST_F(SlimmingTest, CalibratesOnPairsAndOnSourcesAlone) {
  ASSERT_EQ(calibrate({path("translates"), path("pairs"), "--src", path("text"), "--ref", path("text")}).code,
            0);
  ASSERT_EQ(calibrate({path("translates"), path("sources"), "--src", path("text")}).code, 0);
  EXPECT_EQ(scales("pairs", "encoder.layers.0"), scales("sources", "encoder.layers.0"))
      << "the encoder reads the same";
  EXPECT_NE(scales("pairs", "decoder.layers.1"), scales("sources", "decoder.layers.1"));
  ASSERT_EQ(calibrate({path("translates"), path("two"), "--src", path("text"), "--lines", "2"}).code, 0);
  EXPECT_NE(scales("two", "encoder.layers.0"), scales("sources", "encoder.layers.0"));
}

TEST_F(SlimmingTest, CalibrationSaysWhatItWants) {
  const Answer no_text = calibrate({path("lm"), path("out"), "--src", path("text")});
  EXPECT_EQ(no_text.code, 2);
  EXPECT_THAT(no_text.errors, HasSubstr("wanted --text FILE for a language model"));
  EXPECT_EQ(calibrate({path("translates"), path("out")}).code, 2);
  config::ModelConfig random = model_config();
  random.experts = {.count = 2, .every = 1};
  write_model("random", random);
  const Answer drawn = calibrate({path("random"), path("out"), "--src", path("text")});
  EXPECT_EQ(drawn.code, 2);
  EXPECT_THAT(drawn.errors, HasSubstr("wanted a model whose tokens may meet any number of experts"));
  write_file_atomically(path("empty"), "");
  const Answer nothing = calibrate({path("lm"), path("out"), "--text", path("empty")});
  EXPECT_EQ(nothing.code, 1);
  EXPECT_THAT(nothing.errors, HasSubstr("found none that are not zero"));
  EXPECT_FALSE(std::filesystem::exists(path("out")));
  const Answer unscaled =
      run("evaluate", &add_evaluate_command, {path("lm"), "--text", path("text"), "--unscaled"});
  EXPECT_EQ(unscaled.code, 2);
  EXPECT_THAT(unscaled.errors, HasSubstr("the model has no scales to leave out"));
}

}  // namespace
}  // namespace megin::cli
