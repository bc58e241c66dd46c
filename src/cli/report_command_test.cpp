#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/files.h"
#include "cli/command_runner.h"
#include "store/routing_snapshot.h"

namespace megin::cli {

void add_report_command(Program& program);

namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

int count(const std::string& text, const std::string& part) {
  int found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) ++found;
  return found;
}

// Two runs: `one` is dense, `two` has a layer of two experts.
class ReportCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / testing::UnitTest::GetInstance()->current_test_info()->name();
    fs::remove_all(folder_);
    write_run("one", {.method = "dense"}, kTranslationLog);
    write_run("two", {.method = "switch"}, std::string(kTranslationLog) + kRoutingLine);
  }

  struct Recipe {
    std::string method = "dense";
    std::string dropout = "0.1";
    int seed = 1;
  };

  void write_run(const std::string& name, const Recipe& recipe, const std::string& log) const {
    fs::create_directories(folder_ / name);
    write_file_atomically(folder_ / name / "log.jsonl",
                          R"({"event":"start","update":0,"threads":2})"
                          "\n" +
                              log + R"({"event":"end","update":10,"reason":"max_updates"})" + "\n");
    write_file_atomically(
        folder_ / name / "config.yaml",
        fmt::format("model:\n  dropout: {}\ntrain:\n  method: {}\n  run: runs/{}\n  seed: {}\n",
                    recipe.dropout, recipe.method, name, recipe.seed));
  }

  // Seeds 1, 2 and 3 of a method, METHOD-1 ...: their BLEU at update 10, and one less at update 20, which the
  // third has not reached. Cost: as many TFLOP as the seed at update 10.
  std::vector<std::string> write_seeds(const std::string& method, const std::vector<double>& bleu) const {
    std::vector<std::string> paths;
    for (int seed = 1; seed <= 3; ++seed) {
      const double found = bleu.at(static_cast<size_t>(seed) - 1);
      std::string log = fmt::format(
          R"({{"event":"update","update":10,"nll":3,"flops":{0}e12}})"
          "\n"
          R"({{"event":"validation","update":10,"loss":3,"bleu":{1},"flops":{0}e12}})"
          "\n"
          R"({{"event":"routing","update":10,"stack":"encoder","layer":0,"highest_load":{0},"load_0":0.{0}}})"
          "\n",
          seed, found);
      if (seed != 3) {
        log += fmt::format(R"({{"event":"validation","update":20,"loss":3,"bleu":{},"flops":{}e12}})"
                           "\n",
                           found - 1, 2 * seed);
      }
      paths.push_back(path(fmt::format("{}-{}", method, seed)));
      write_run(fmt::format("{}-{}", method, seed), {.method = method, .seed = seed}, log);
    }
    return paths;
  }

  int run(std::vector<std::string> arguments) { return command_.run(std::move(arguments)); }

  std::string path(const std::string& name) const { return (folder_ / name).string(); }
  std::string picture(const std::string& name) const {
    return read_file(folder_ / "pictures" / (name + ".svg"));
  }
  bool has_picture(const std::string& name) const {
    return fs::exists(folder_ / "pictures" / (name + ".svg"));
  }

  static constexpr const char* kTranslationLog =
      R"({"event":"update","update":5,"nll":3,"flops":1e12,"minutes":0.5,"cpu_minutes":1,)"
      R"("target_tokens_per_second":1234.4})"
      "\n"
      R"({"event":"validation","update":5,"loss":3.5,"perplexity":33,"bleu":9.25,)"
      R"("flops":1e12,"cpu_minutes":1})"
      "\n"
      R"({"event":"validation","update":10,"loss":3.25,"perplexity":26,"bleu":8.5,)"
      R"("flops":2e12,"cpu_minutes":2})"
      "\n";
  static constexpr const char* kRoutingLine =
      R"({"event":"routing","update":5,"stack":"encoder","layer":0,"highest_load":1.5,"lowest_load":0.5,)"
      R"("unused_experts":1,"z_loss":0.5,"confidence":0.625,"dropped":0,"load_0":0.75,"load_1":0.25})"
      "\n";

  fs::path folder_;
  CommandRunner command_{"report", &add_report_command};
};

TEST_F(ReportCommandTest, ShowsRunsCurvesLoadsAndDifferencesOnOnePage) {
  EXPECT_EQ(run({path("one"), path("two"), "--title", "A <b> & c"}), 0) << command_.errors();
  const std::string page = command_.output();
  EXPECT_THAT(page, HasSubstr("<h1>A &lt;b&gt; &amp; c</h1>"));
  EXPECT_THAT(page, HasSubstr(">9.25</td>"));  // the best of two validations is the one with the higher BLEU
  EXPECT_THAT(page, HasSubstr(">3.500</td>"));
  EXPECT_THAT(page, HasSubstr(">1234</td>"));
  EXPECT_THAT(page, HasSubstr(">75.0</td>"));  // load of expert 0
  EXPECT_THAT(page, HasSubstr(">Validation BLEU<"));
  EXPECT_THAT(page, HasSubstr(">training TFLOP<"));
  EXPECT_THAT(page, HasSubstr("Routing of two"));
  EXPECT_THAT(page, Not(HasSubstr("Routing of one")));
  EXPECT_THAT(page, HasSubstr("<td>train.method</td><td>dense</td><td>switch</td>"));
  EXPECT_THAT(page, Not(HasSubstr("<td>model.dropout</td>")));
  EXPECT_THAT(page, Not(HasSubstr("<td>train.run</td>")));
  EXPECT_THAT(page, Not(HasSubstr("perplexity"))) << "translations are told by BLEU";
  EXPECT_THAT(page, Not(HasSubstr("±"))) << "nothing is a mean";
  EXPECT_THAT(page, Not(HasSubstr("Routing fluctuation"))) << "there are no snapshots";
  EXPECT_THAT(page, Not(HasSubstr("<script"))) << "readable without a network or a program";
  EXPECT_THAT(page, Not(HasSubstr("href=")));
}

TEST_F(ReportCommandTest, WritesNumbersAndPictures) {
  EXPECT_EQ(run({path("one"), path("two"), "--json", "--csv", path("all.csv"), "--svg", path("pictures")}), 0)
      << command_.errors();
  const auto json = nlohmann::json::parse(command_.output());
  EXPECT_EQ(json["runs"][0]["best"]["bleu"], 9.25);
  EXPECT_EQ(json["runs"][1]["flops"], 1e12);
  EXPECT_EQ(json["runs"][1]["ended_by"], "max_updates");
  EXPECT_EQ(json["differences"], nlohmann::json({"train.method"}));
  EXPECT_TRUE(json["groups"].empty());
  const std::string csv = read_file(path("all.csv"));
  EXPECT_THAT(csv, HasSubstr("run,event,stack,layer,update,key,value\n"));
  EXPECT_THAT(csv, HasSubstr("two,routing,encoder,0,5,confidence,0.625\n"));
  EXPECT_THAT(picture("validation-bleu-by-flops"), HasSubstr("<svg"));
  EXPECT_TRUE(has_picture("two-routing-highest_load"));
  EXPECT_TRUE(has_picture("two-routing-unused_experts"));
  EXPECT_TRUE(has_picture("two-routing-z_loss"));
  EXPECT_FALSE(has_picture("two-routing-dropped")) << "nothing was dropped";
}

TEST_F(ReportCommandTest, DrawsLoadsOfSingleExpertsWhereTheyAreFew) {
  std::string many = R"({"event":"routing","update":5,"stack":"decoder","layer":2,"highest_load":9)";
  for (int e = 0; e < 9; ++e) many += fmt::format(R"(,"load_{}":0.1)", e);
  write_run("many", {.method = "hash"}, many + "}\n");
  write_run("mixture", {.method = "moe_tok"},
            R"({"event":"routing","update":5,"stack":"mixture","layer":0,"load_0":0,"load_1":1,)"
            R"("confidence_1":0.5})"
            "\n");
  EXPECT_EQ(run({path("two"), path("many"), path("mixture"), "--json", "--svg", path("pictures")}), 0)
      << command_.errors();
  EXPECT_THAT(picture("two-encoder-0-load"), HasSubstr(">expert 1</text>"));
  EXPECT_THAT(picture("two-encoder-0-load"), HasSubstr(">two, encoder 0</text>"));
  EXPECT_TRUE(has_picture("many-routing-highest_load"));
  EXPECT_FALSE(has_picture("many-decoder-2-load"));
  EXPECT_THAT(picture("mixture-mixture-load"), HasSubstr(">component 0</text>"));
  EXPECT_THAT(picture("mixture-mixture-confidence"), HasSubstr(">component 1</text>"));
  EXPECT_THAT(picture("mixture-mixture-confidence"), Not(HasSubstr(">component 0</text>")))
      << "it has no confidence: it explained nothing";
}

TEST_F(ReportCommandTest, ShowsALanguageModelByItsPerplexity) {
  write_run("lm", {.method = "stable_moe"},
            R"({"event":"validation","update":5,"loss":3,"perplexity":20.09,"word_perplexity":61.25})"
            "\n"
            R"({"event":"validation","update":10,"loss":2,"perplexity":7.39,"word_perplexity":30.5})"
            "\n");
  EXPECT_EQ(run({path("lm"), "--svg", path("pictures")}), 0) << command_.errors();
  const std::string page = command_.output();
  EXPECT_THAT(page, HasSubstr("<th class=\"right\">perplexity</th><th class=\"right\">word perplexity</th>"));
  EXPECT_THAT(page, HasSubstr(">7.39</td>"));  // at the lowest loss
  EXPECT_THAT(page, HasSubstr(">30.50</td>"));
  EXPECT_THAT(page, Not(HasSubstr(">BLEU</th>")));
  EXPECT_TRUE(has_picture("validation-loss-by-updates"));
  EXPECT_TRUE(has_picture("validation-perplexity-by-updates"));
  EXPECT_TRUE(has_picture("validation-word_perplexity-by-updates"));
  EXPECT_EQ(run({path("lm"), path("one"), "--json"}), 0);
  const auto json = nlohmann::json::parse(command_.output());
  EXPECT_EQ(json["runs"][0]["best"]["word_perplexity"], 30.5);
  EXPECT_EQ(run({path("lm"), path("one")}), 0);
  EXPECT_THAT(command_.output(), HasSubstr(">BLEU</th>"));
}

TEST_F(ReportCommandTest, ShowsAClassifierByItsAccuracy) {
  write_run("sst2", {.method = "smoe_dropout"},
            R"({"event":"validation","update":5,"loss":0.6,"accuracy":0.8125,"sentences":16})"
            "\n"
            R"({"event":"validation","update":10,"loss":0.5,"accuracy":0.75,"sentences":16})"
            "\n");
  write_file_atomically(folder_ / "sst2" / "config.yaml", "train: {validation: {best_by: accuracy}}\n");
  EXPECT_EQ(run({path("sst2"), "--svg", path("pictures")}), 0) << command_.errors();
  const std::string page = command_.output();
  EXPECT_THAT(page, HasSubstr(">accuracy, %</th>"));
  EXPECT_THAT(page, HasSubstr(">81.25</td>"));  // at the highest accuracy, not the lowest loss
  EXPECT_THAT(page, HasSubstr("nats a sentence"));
  EXPECT_THAT(page, Not(HasSubstr(">BLEU</th>")));
  EXPECT_THAT(page, Not(HasSubstr(">perplexity</th>")));
  EXPECT_TRUE(has_picture("validation-accuracy-by-updates"));
}

// dense: mean 39 / 3, squares 9 + 1 + 16 over 2; thor: mean 96 / 3, squares 4 + 1 + 9 over 2.
TEST_F(ReportCommandTest, ShowsSeedsAsOneLineAndOneRow) {
  std::vector<std::string> arguments = write_seeds("dense", {10, 12, 17});
  for (const std::string& run : write_seeds("switch", {20, 20, 20})) arguments.push_back(run);
  for (const std::string& run : write_seeds("thor", {30, 31, 35})) arguments.push_back(run);
  for (const char* more : {"--svg", "pictures", "--csv", "all.csv", "--output", "page.html", "--json"}) {
    arguments.push_back(more[0] == '-' ? more : path(more));
  }
  EXPECT_EQ(run(arguments), 0) << command_.errors();

  const std::string page = read_file(path("page.html"));
  EXPECT_THAT(page, HasSubstr("<td>dense</td><td>dense</td>"));  // name and method
  EXPECT_THAT(page, HasSubstr(">3 seeds</td>"));
  EXPECT_THAT(page, HasSubstr(">13.00 ± 3.61</td>"));
  EXPECT_THAT(page, HasSubstr(">20.00 ± 0.00</td>"));
  EXPECT_THAT(page, HasSubstr(">32.00 ± 2.65</td>"));
  EXPECT_THAT(page, HasSubstr(">2.0 ± 1.0</td>"));  // TFLOP
  EXPECT_THAT(page, HasSubstr("<td>train.seed</td><td>1, 2, 3</td><td>1, 2, 3</td><td>1, 2, 3</td>"));
  EXPECT_THAT(page, HasSubstr("are the mean over 3 seeds"));
  EXPECT_THAT(page, HasSubstr("those of switch-1"));
  EXPECT_EQ(count(page, "All settings of"), 3);

  const std::string bleu = picture("validation-bleu-by-updates");
  EXPECT_EQ(count(bleu, "stroke-width=\"2.2\""), 6) << "in the legend and in the plot: three lines";
  EXPECT_EQ(count(bleu, "<circle"), 3) << "update 20 is not there: a seed has not reached it";
  EXPECT_EQ(count(picture("thor-routing-highest_load"), "<circle"), 1);
  EXPECT_THAT(picture("thor-1-encoder-0-load"), HasSubstr(">thor-1, encoder 0</text>"));

  EXPECT_THAT(read_file(path("all.csv")), HasSubstr("dense-3,validation,,,10,bleu,17\n"));
  const auto json = nlohmann::json::parse(command_.output());
  EXPECT_EQ(json["runs"].size(), 9u);
  ASSERT_EQ(json["groups"].size(), 3u);
  const auto& dense = json["groups"][0];
  EXPECT_EQ(dense["group"], "dense");
  EXPECT_EQ(dense["runs"], nlohmann::json({"dense-1", "dense-2", "dense-3"}));
  EXPECT_NEAR(dense["best"]["bleu"]["mean"], 13, 1e-12);
  EXPECT_NEAR(dense["best"]["bleu"]["deviation"], std::sqrt(13.0), 1e-12);
  EXPECT_NEAR(dense["flops"]["mean"], 2e12, 1);
}

TEST_F(ReportCommandTest, GroupsByEverythingButTheSeed) {
  write_run("first", {.seed = 7}, kTranslationLog);
  write_run("second", {.seed = 8}, kTranslationLog);
  write_run("third", {.dropout = "0.2", .seed = 9}, kTranslationLog);
  write_run("again", {.seed = 7}, kTranslationLog);
  EXPECT_EQ(run({path("first"), path("second"), path("third"), path("again")}), 0) << command_.errors();
  const std::string page = command_.output();
  EXPECT_THAT(page, HasSubstr("<td>train.seed</td><td>7, 8</td><td>9</td><td>7</td>"));
  EXPECT_THAT(page, HasSubstr("<th>key</th><th>first</th><th>third</th><th>again</th>"))
      << "not named by their seeds: as the first of them; a seed counts once";
}

TEST_F(ReportCommandTest, ComparesAsManyGroupsAsCurvesTellApart) {
  std::vector<std::string> seeds, others;
  for (int i = 0; i < 13; ++i) {
    write_run(fmt::format("seed-{}", i), {.seed = i}, kTranslationLog);
    write_run(fmt::format("other-{}", i), {.dropout = fmt::format("0.{}", i)}, kTranslationLog);
    seeds.push_back(path(fmt::format("seed-{}", i)));
    others.push_back(path(fmt::format("other-{}", i)));
  }
  EXPECT_EQ(run(seeds), 0) << command_.errors();
  EXPECT_EQ(run(others), 2);
  EXPECT_THAT(command_.errors(), HasSubstr("wanted at most 12 groups of runs"));
  others.pop_back();
  EXPECT_EQ(run(others), 0) << command_.errors();
}

// One token of four in two layers moves, between the last two of three snapshots.
TEST_F(ReportCommandTest, DrawsRoutingFluctuationWhereThereAreSnapshots) {
  for (const int64_t update : {10, 20, 30}) {
    const auto expert = static_cast<uint16_t>(update == 30 ? 1 : 0);
    store::write_routing_snapshot(
        path("two"), {.update = update, .layers = {{"encoder 0", {0, expert}}, {"decoder 0", {1, 1}}}});
  }
  EXPECT_EQ(run({path("one"), path("two"), "--svg", path("pictures")}), 0) << command_.errors();
  EXPECT_THAT(command_.output(), HasSubstr("<h2>Routing fluctuation</h2>"));
  const std::string svg = picture("routing-fluctuation");
  EXPECT_THAT(svg, HasSubstr(">two</text>"));
  EXPECT_THAT(svg, Not(HasSubstr(">one</text>")));
  EXPECT_EQ(count(svg, "<circle"), 3);
  EXPECT_THAT(svg, HasSubstr(">25</text>")) << "percent of the tokens, until the second snapshot";
}

TEST_F(ReportCommandTest, DrawsResultsOfSeedsAsViolins) {
  write_file_atomically(path("thor.json"), R"({"runs":[{"bleu":20,"loss":3},{"bleu":22,"loss":3}]})");
  write_file_atomically(path("switch.json"), R"({"runs":[{"bleu":19,"loss":4},{"bleu":19,"loss":5}]})");
  write_file_atomically(path("lm.json"), R"({"runs":[{"loss":6},{"loss":8}]})");
  EXPECT_EQ(run({path("one"), "--consistency", path("thor.json"), path("switch.json"), "--svg",
                 path("pictures"), "--output", path("page.html"), "--json"}),
            0)
      << command_.errors();
  const std::string page = read_file(path("page.html"));
  EXPECT_THAT(page, HasSubstr("<td>thor</td><td class=\"right\">2</td><td class=\"right\">21.000</td>"));
  EXPECT_THAT(page, HasSubstr(">Spread over seeds</text>"));
  EXPECT_THAT(picture("consistency-bleu"), HasSubstr(">switch</text>"));
  const auto json = nlohmann::json::parse(command_.output());
  EXPECT_EQ(json["consistency"]["key"], "bleu");
  EXPECT_EQ(json["consistency"]["groups"][0]["variance"], 2);

  EXPECT_EQ(run({path("one"), "--consistency", path("thor.json"), path("lm.json"), "--json"}), 0);
  const auto losses = nlohmann::json::parse(command_.output());
  EXPECT_EQ(losses["consistency"]["key"], "loss") << "one of them has no BLEU";
  EXPECT_EQ(losses["consistency"]["groups"][1]["mean"], 7);
}

TEST_F(ReportCommandTest, SaysWhatItCannotShow) {
  EXPECT_EQ(run({folder_.string()}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("log.jsonl"));
  EXPECT_EQ(run({path("one"), path("two"), path("one") + "/"}), 2);
  EXPECT_THAT(command_.errors(), HasSubstr("wanted each run once"));
  EXPECT_EQ(run({path("one"), "--consistency", path("one/log.jsonl")}), 1);
  EXPECT_THAT(command_.errors(), HasSubstr("megin evaluate --seeds K --json"));
}

}  // namespace
}  // namespace megin::cli
