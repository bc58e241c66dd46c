#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command.h"

namespace megin::cli {

void add_score_command(Program& program);

namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class ScoreCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "score_command";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    reference_ = write("reference", "a b c d e f g\nthe cat sat down\n");
  }
  void TearDown() override { fs::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& text) {
    write_file_atomically(folder_ / name, text);
    return (folder_ / name).string();
  }

  int run(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "score");
    Streams streams{
        .in = in_,
        .out = out_,
        .screen = {.write = [this](std::string_view bytes) { err_ += bytes; }, .width = [] { return 0; }}};
    Program program;
    add_score_command(program);
    return program.run(std::move(arguments), streams);
  }

  fs::path folder_;
  std::string reference_;
  std::istringstream in_;
  std::ostringstream out_;
  std::string err_;
};

TEST_F(ScoreCommandTest, PrintsALineForEachMetric) {
  const std::string perfect = write("perfect", "a b c d e f g\nthe cat sat down\n");
  EXPECT_EQ(run({"--metric", "bleu,ter", "--ref", reference_, perfect}), 0) << err_;
  EXPECT_EQ(
      out_.str(),
      "BLEU|nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:2.6.0 = 100.0 100.0/100.0/100.0/100.0 (BP = "
      "1.000 ratio = 1.000 hyp_len = 11 ref_len = 11)\n"
      "TER|nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0 = 0.0\n");
}

// One shift and one substitution over eleven words. Of two references the second is better in the second
// segment.
TEST_F(ScoreCommandTest, ReadsStandardInputAndSeveralReferences) {
  in_.str("e f g a b c d\nThe cat sat up");
  const std::string second = write("second", "x\nthe cat sat up\n");
  EXPECT_EQ(run({"-", "--ref", reference_, "--metric", "ter", "--width", "3"}), 0) << err_;
  EXPECT_NE(out_.str().find(" = 18.182\n"), std::string::npos) << out_.str();
  out_.str("");
  in_.clear();
  in_.str("e f g a b c d\nThe cat sat up");
  EXPECT_EQ(run({"-", "--ref", reference_, "--ref", second, "--metric", "ter", "--width", "3"}), 0) << err_;
  // One edit; mean lengths (7 + 1) / 2 and 4.
  EXPECT_NE(
      out_.str().find("TER|nrefs:2|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0 = 12.500\n"),
      std::string::npos)
      << out_.str();
}

TEST_F(ScoreCommandTest, GivesOneJsonObject) {
  const std::string hypothesis = write("hypothesis", "e f g a b c d\nthe cat sat up\n");
  EXPECT_EQ(run({hypothesis, "--ref", reference_, "--metric", "ter,bleu", "--tokenize", "none", "--smooth",
                 "none", "--lowercase", "--json"}),
            0)
      << err_;
  const json object = json::parse(out_.str());
  EXPECT_EQ(object.at("metric"), "TER");
  EXPECT_NEAR(object.at("score").get<double>(), 200.0 / 11, 1e-12);
  EXPECT_EQ(object.at("signature"), "nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0");
  ASSERT_EQ(object.at("scores").size(), 2u);
  EXPECT_EQ(object.at("scores")[1].at("metric"), "BLEU");
  EXPECT_EQ(object.at("scores")[1].at("signature"),
            "nrefs:1|case:lc|eff:no|tok:none|smooth:none|version:2.6.0");
}

TEST_F(ScoreCommandTest, ComparesTwoSystems) {
  const std::string good = write("good", "a b c d e f g\nthe cat sat down\n");
  const std::string bad = write("bad", "a b c d\nthe cat sat on\n");
  EXPECT_EQ(run({good, "--vs", bad, "--ref", reference_, "--metric", "ter", "--bootstrap-samples", "20",
                 "--seed", "3", "--json"}),
            0)
      << err_;
  const json object = json::parse(out_.str());
  EXPECT_EQ(object.at("score"), 0.0);
  EXPECT_NEAR(object.at("versus").at("score").get<double>(), 400.0 / 11, 1e-12);
  EXPECT_EQ(object.at("signature"),
            "nrefs:1|bs:20|seed:3|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:2.6.0");
  // A resample's difference is between 25 and 42.9; less their mean none is above the real one of 36.4.
  EXPECT_NEAR(object.at("p_value").get<double>(), 1.0 / 21, 1e-12);
  out_.str("");
  EXPECT_EQ(run({good, "--vs", bad, "--ref", reference_}), 0) << err_;
  EXPECT_NE(out_.str().find("bs:1000|seed:12345"), std::string::npos);
  EXPECT_NE(out_.str().find("(p = "), std::string::npos);
}

constexpr const char* kProblems =
    "fold\tnumbers\tanswer\n"
    "0\t7 2\t9.0\n"
    "0\t7.0 2.0\t5\n"
    "1\t1 3\t0.4\n"
    "0\t 8  0 \t8\n"
    "-1\t3\t3.15\n";

// Right; of the wrong sign; 1/3 for 0.4, by 0.07; a division by zero; 3 for 3.15, by 0.15.
constexpr const char* kEquations =
    "+ number0 number1\n- number1 number0\n/ number0 number1\n/ number0 number1\nnumber0\n";

TEST_F(ScoreCommandTest, CountsTheProblemsThatEquationsSolve) {
  const std::string problems = write("problems.tsv", kProblems);
  EXPECT_EQ(run({write("hypothesis", kEquations), "--equations", problems}), 0) << err_;
  // Wilson's interval of 2 in 5, worked out by the closed form in Python.
  EXPECT_EQ(out_.str(), "solved = 40.0 % (2 of 5; 95 % interval 11.8 to 76.9; 1 without a value)\n");
  out_.str("");
  EXPECT_EQ(run({write("hypothesis", kEquations), "--equations", problems, "--tolerance", "0.2", "--json"}),
            0)
      << err_;
  const json object = json::parse(out_.str());
  EXPECT_EQ(object.at("metric"), "solved");
  EXPECT_EQ(object.at("solved"), 3);
  EXPECT_EQ(object.at("total"), 5);
  EXPECT_EQ(object.at("without_value"), 1);
  EXPECT_NEAR(object.at("score").get<double>(), 60.0, 1e-12);
  EXPECT_NEAR(object.at("low").get<double>(), 23.0724, 1e-3);
  EXPECT_NEAR(object.at("high").get<double>(), 88.2379, 1e-3);
}

TEST_F(ScoreCommandTest, TakesTheRowsOfAFold) {
  in_.str("+ number0 number1\n+ number1 number0\n- number0 number1\n");
  EXPECT_EQ(run({"-", "--equations", write("problems.tsv", kProblems), "--where", "fold = 0", "--per-line"}),
            0)
      << err_;
  EXPECT_EQ(out_.str(), "1\t9\t9\n0\t9\t5\n1\t8\t8\n");
  out_.str("");
  in_.clear();
  in_.str("+ number0 number1\n+\n- number0 number1\n");
  EXPECT_EQ(run({"-", "--equations", write("problems.tsv", kProblems), "--where", "fold = 0", "--per-line",
                 "--json"}),
            0)
      << err_;
  EXPECT_EQ(
      out_.str(),
      "{\"answer\":9.0,\"solved\":true,\"value\":9.0}\n{\"answer\":5.0,\"solved\":false,\"value\":null}\n"
      "{\"answer\":8.0,\"solved\":true,\"value\":8.0}\n");
}

TEST_F(ScoreCommandTest, ComparesEquationsOfTwoSystems) {
  const std::string problems =
      write("problems.tsv", "numbers\tanswer\n1\t1\n1\t1\n1\t1\n1\t1\n1\t1\n1\t1\n1\t1\n");
  const std::string first = write("first", "2\n1\n2\n2\n2\n2\n1\n");
  const std::string second = write("second", "1\n2\n1\n1\n1\n1\n1\n");
  EXPECT_EQ(run({first, "--vs", second, "--equations", problems, "--json"}), 0) << err_;
  const json object = json::parse(out_.str());
  EXPECT_EQ(object.at("solved"), 2);
  EXPECT_EQ(object.at("versus").at("solved"), 6);
  EXPECT_EQ(object.at("only_first"), 1);
  EXPECT_EQ(object.at("only_second"), 5);
  EXPECT_NEAR(object.at("p_value").get<double>(), 2.0 * (1 + 6) / 64, 1e-12);
  out_.str("");
  EXPECT_EQ(run({first, "--vs", second, "--equations", problems}), 0) << err_;
  EXPECT_NE(out_.str().find("only the first 1, only the second 5 (p = 0.2188)\n"), std::string::npos)
      << out_.str();
}

TEST_F(ScoreCommandTest, NamesWhatIsWrongWithProblems) {
  const std::string problems = write("problems.tsv", kProblems), two = write("two", "1\n1\n");
  EXPECT_EQ(run({two, "--equations", problems, "--per-line"}), 1);
  EXPECT_NE(err_.find("found 2 lines in " + two + " and 5 problems in " + problems), std::string::npos)
      << err_;
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(run({two, "--equations", problems, "--where", "fold = 1"}), 1);
  EXPECT_NE(err_.find("found 2 lines in " + two + " and 1 problems in " + problems), std::string::npos)
      << err_;
  EXPECT_EQ(run({two, "--equations", write("bad.tsv", "numbers\tanswer\n1 two\t3\n")}), 1);
  EXPECT_NE(err_.find("bad.tsv:2: wanted a decimal number in the column numbers, found 'two'"),
            std::string::npos)
      << err_;
  EXPECT_EQ(run({two, "--equations", write("bad.tsv", "numbers\n1\n")}), 1);
  EXPECT_NE(err_.find("wanted a column 'answer' in the first line, found numbers"), std::string::npos)
      << err_;
  EXPECT_EQ(run({two, "--equations", write("bad.tsv", "numbers\tanswer\n")}), 1);
}

TEST_F(ScoreCommandTest, NamesFilesOfDifferentLength) {
  const std::string three = write("three", "a\nb\nc\n");
  EXPECT_EQ(run({three, "--ref", reference_}), 1);
  EXPECT_NE(err_.find("found 3 in " + three + " and 2 in " + reference_), std::string::npos) << err_;
  EXPECT_EQ(out_.str(), "");
}

TEST_F(ScoreCommandTest, NamesTheLineOfInvalidText) {
  EXPECT_EQ(run({write("bad", "a\nb\xFF\n"), "--ref", reference_}), 1);
  EXPECT_NE(err_.find("bad:2: not valid UTF-8 at byte 2"), std::string::npos) << err_;
}

TEST_F(ScoreCommandTest, EmptyAndMissingFilesFail) {
  EXPECT_EQ(run({write("empty", ""), "--ref", write("empty too", "")}), 1);
  EXPECT_NE(err_.find("empty file"), std::string::npos) << err_;
  EXPECT_EQ(run({(folder_ / "absent").string(), "--ref", reference_}), 1);
}

TEST_F(ScoreCommandTest, WrongCallsGiveTwo) {
  EXPECT_EQ(run({reference_}), 2);
  EXPECT_EQ(run({reference_, "--ref", reference_, "--metric", "meteor"}), 2);
  EXPECT_EQ(run({reference_, "--ref", reference_, "--tokenize", "zh"}), 2);
  EXPECT_EQ(run({reference_, "--ref", reference_, "--seed", "1"}), 2);
  EXPECT_EQ(run({reference_, "--ref", reference_, "--smooth-value", "1"}), 2);
  EXPECT_EQ(run({"-", "--ref", "-"}), 2);
  EXPECT_EQ(run({reference_, "--ref", reference_, "--equations", reference_}), 2);
  EXPECT_EQ(run({reference_, "--ref", reference_, "--where", "fold = 0"}), 2);
  EXPECT_EQ(run({reference_, "--equations", reference_, "--metric", "ter"}), 2);
  EXPECT_EQ(run({reference_, "--equations", reference_, "--vs", reference_, "--per-line"}), 2);
  EXPECT_EQ(run({"-", "--equations", write("p.tsv", kProblems), "--vs", "-"}), 2);
}

}  // namespace
}  // namespace megin::cli
