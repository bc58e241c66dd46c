// Imported models compute what transformers does: small checkpoints with random weights, and the logits,
// greedy outputs and translations that transformers 4.46.3 gives for them (exchange/test_files).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command.h"
#include "exchange/plan.h"
#include "runtime/model_bundle.h"
#include "text/vocabulary.h"

namespace megin::cli {

void add_import_command(Program& program);
void add_export_command(Program& program);
void add_translate_command(Program& program);

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

constexpr double kTolerance = 1e-4;

class ImportCommandTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / "import_command";
    fs::remove_all(folder_);
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }

  static fs::path source(const std::string& kind) {
    return fs::path(MEGIN_TEST_FILES).parent_path().parent_path() / "exchange" / "test_files" / kind;
  }
  std::string path(const std::string& name) const { return (folder_ / name).string(); }

  int run(std::vector<std::string> arguments, const std::string& input = "") {
    Program program;
    add_import_command(program);
    add_export_command(program);
    add_translate_command(program);
    in_.clear();
    in_.str(input);
    out_.str("");
    err_.clear();
    return program.run(
        std::move(arguments),
        {.in = in_,
         .out = out_,
         .screen = {.write = [this](std::string_view bytes) { err_ += bytes; }, .width = [] { return 80; }}});
  }

  // An imported checkpoint, its symbols, and what is expected of it.
  struct Imported {
    exchange::Plan plan;
    runtime::ModelBundle bundle;
    json expected;

    int32_t id(int64_t row) const {  // of megin's, from theirs
      const auto found = std::ranges::find_if(
          plan.symbols, [&](const exchange::Symbol& symbol) { return symbol.produced && symbol.row == row; });
      return static_cast<int32_t>(found - plan.symbols.begin());
    }
  };
  Imported import(const std::string& kind) {
    EXPECT_EQ(run({"import", source(kind).string(), path(kind), "--quiet"}), 0) << err_;
    return {exchange::read_plan(source(kind)), runtime::open_model(path(kind)),
            json::parse(read_file(source(kind) / "expected.json"))};
  }

  // Log-probabilities of their symbols after each token.
  static std::vector<std::vector<double>> feed(const Imported& model, const search::Source& read,
                                               const std::vector<int32_t>& tokens) {
    const runtime::Transformer transformer(model.bundle.weights, {});
    const std::vector<search::Source> sources = {read};
    const auto state = transformer.begin(sources, 1);
    std::vector<std::vector<double>> steps;
    std::vector<float> found(static_cast<size_t>(transformer.vocabulary()));
    for (const int32_t token : tokens) {
      transformer.step(*state, {&token, 1}, found);
      std::vector<double> theirs(static_cast<size_t>(model.plan.their_symbols));
      for (size_t id = 0; id < found.size(); ++id) {
        const exchange::Symbol& symbol = model.plan.symbols[id];
        if (symbol.produced) theirs[static_cast<size_t>(symbol.row)] = found[id];
      }
      steps.push_back(std::move(theirs));
    }
    return steps;
  }

  // Log-probabilities are logits less one number for all symbols: the logarithm of the sum of their
  // exponentials.
  static void expect_logits(const std::vector<double>& found, const std::vector<double>& logits) {
    ASSERT_EQ(found.size(), logits.size());
    double sum = 0;
    for (const double logit : logits) sum += std::exp(logit);
    for (size_t i = 0; i < logits.size(); ++i)
      EXPECT_NEAR(found[i] + std::log(sum), logits[i], kTolerance) << i;
  }

  // Log-probabilities after each token that transformers wrote for a line, and before the first.
  static std::vector<std::vector<double>> feed_line(const Imported& model, const json& line) {
    search::Source read{.tokens = {}, .sentence = 0};
    for (const json& row : line.at("ids")) read.tokens.push_back(model.id(row));
    std::vector<int32_t> tokens = {text::kEndId};  // in its place stands the begin vector
    for (const json& row : line.at("greedy")) tokens.push_back(model.id(row));
    tokens.erase(tokens.begin() + 1);
    tokens.pop_back();
    return feed(model, read, tokens);
  }

  // A translator's greedy outputs. `end`: their end mark.
  void expect_translations(const std::string& kind, int64_t end) {
    const Imported model = import(kind);
    std::string input;
    for (const json& line : model.expected) input += line.at("text").get<std::string>() + "\n";
    ASSERT_EQ(run({"translate", path(kind), "--beam", "1", "--quiet"}, input), 0) << err_;
    std::istringstream lines(out_.str());
    for (const json& line : model.expected) {
      std::string translation;
      ASSERT_TRUE(std::getline(lines, translation));
      const auto wanted = line.at("translation").get<std::string>();
      const bool ended = line.at("greedy").back() == end;
      EXPECT_THAT(translation, StartsWith(wanted)) << "transformers stopped after 64 tokens";
      if (ended) {
        EXPECT_EQ(translation, wanted);
      }
    }
  }

  fs::path folder_;
  std::istringstream in_;
  std::ostringstream out_;
  std::string err_;
};

TEST_F(ImportCommandTest, Gpt2HasTheLogitsOfTransformers) {
  const Imported model = import("gpt2");
  for (const json& line : model.expected) {
    SCOPED_TRACE(line.at("text"));
    std::vector<int32_t> tokens;
    for (const json& row : line.at("greedy")) tokens.push_back(model.id(row));
    EXPECT_EQ(tokens[0], text::kEndId);
    const auto found = feed(model, {.tokens = {}, .sentence = 0}, tokens);
    const size_t read = line.at("read").size();
    for (size_t t = 0; t + 1 < read; ++t) {
      EXPECT_NEAR(found[t][line.at("read").at(t + 1)], line.at("log_probabilities_of_ids").at(t), kTolerance);
    }
    const auto logits = line.at("logits").get<std::vector<std::vector<double>>>();  // of the last ones read
    for (size_t i = 0; i < logits.size() && i < read; ++i) {
      expect_logits(found[read - std::min(read, logits.size()) + i], logits[i]);
    }
    for (size_t t = read; t < tokens.size(); ++t) {
      const auto best = std::ranges::max_element(found[t - 1]) - found[t - 1].begin();
      EXPECT_EQ(best, line.at("greedy").at(t)) << "greedy token " << t;
    }
  }
}

TEST_F(ImportCommandTest, MarianHasTheLogitsOfTransformers) {
  const Imported model = import("marian");
  for (const json& line : model.expected) {
    SCOPED_TRACE(line.at("text"));
    const auto found = feed_line(model, line);
    const auto logits = line.at("logits").get<std::vector<std::vector<double>>>();  // of the first ones
    ASSERT_GE(found.size(), logits.size());
    for (size_t t = 0; t < logits.size(); ++t) expect_logits(found[t], logits[t]);
  }
}

TEST_F(ImportCommandTest, MarianTranslatesAsTransformersDoes) {
  expect_translations("marian", 0);
}

// T5 1.0 and 1.1, at the beginning of what they write and beyond the reach of the buckets.
TEST_F(ImportCommandTest, T5HasTheLogitsOfTransformers) {
  for (const char* const kind : {"t5", "t5_gated"}) {
    const Imported model = import(kind);
    size_t longest = 0;
    for (const json& line : model.expected) {
      SCOPED_TRACE(line.at("text"));
      const auto found = feed_line(model, line);
      longest = std::max(longest, found.size());
      const auto logits = line.at("logits").get<std::vector<std::vector<double>>>();
      const auto places = line.at("places").get<std::vector<size_t>>();
      ASSERT_EQ(logits.size(), places.size());
      for (size_t i = 0; i < places.size(); ++i) expect_logits(found.at(places[i]), logits[i]);
      for (size_t t = 0; t + 1 < line.at("greedy").size(); ++t) {
        const auto best = std::max_element(found[t].begin() + 1, found[t].end()) - found[t].begin();
        EXPECT_EQ(best, line.at("greedy").at(t + 1))
            << "greedy token " << t << ", but for the padding symbol";
      }
    }
    EXPECT_GT(longest, 60U);
  }
}

TEST_F(ImportCommandTest, T5WritesAsTransformersDoes) {
  expect_translations("t5", 1);
  expect_translations("t5_gated", 1);
}

TEST_F(ImportCommandTest, SaysWhatItMadeAndWritesItBack) {
  ASSERT_EQ(run({"import", source("gpt2").string(), path("gpt2")}), 0) << err_;
  EXPECT_THAT(out_.str(), HasSubstr("gpt2: imported gpt2 as causal_lm, "));
  ASSERT_EQ(run({"import", source("marian").string(), path("marian"), "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_.str()).at("kind"), "encoder_decoder");

  ASSERT_EQ(run({"export", path("gpt2"), path("back"), "--format", "huggingface", "--json"}), 0) << err_;
  EXPECT_EQ(json::parse(out_.str()).at("kind"), "gpt2");
  EXPECT_EQ(json::parse(read_file(path("back") + "/vocab.json")),
            json::parse(read_file(source("gpt2") / "vocab.json")));
  const exchange::SourceTensors before(source("gpt2")), after(path("back"));
  ASSERT_EQ(after.all().size(), before.all().size());
  for (const auto& [name, tensor] : before.all())
    EXPECT_EQ(after.all().at(name).read(), tensor.read()) << name;
}

TEST_F(ImportCommandTest, SaysWhatCannotBe) {
  EXPECT_EQ(run({"import", path("nothing"), path("out")}), 2);
  EXPECT_THAT(err_,
              HasSubstr("wanted a folder with config.json, tokenizer files and weights, found nothing"));
  EXPECT_EQ(run({"import", source("pickles").string(), path("out")}), 1);
  EXPECT_THAT(err_, HasSubstr("config.json"));
  ASSERT_EQ(run({"import", source("gpt2").string(), path("gpt2")}), 0) << err_;
  EXPECT_EQ(run({"export", path("gpt2"), path("back"), "--format", "onnx"}), 2);
  EXPECT_THAT(err_, HasSubstr("--format: wanted one of megin, huggingface; found 'onnx'"));
  EXPECT_EQ(run({"export", path("gpt2"), path("back"), "--format", "huggingface", "--mean"}), 2);
  EXPECT_THAT(err_, HasSubstr("wanted a dense model; make one first"));
  fs::remove_all(path("gpt2") + "/imported");
  EXPECT_EQ(run({"export", path("gpt2"), path("made_up"), "--format", "huggingface"}), 0) << err_;
  ASSERT_EQ(run({"export", path("gpt2"), path("back"), "--format", "huggingface", "--files",
                 source("gpt2").string()}),
            0)
      << err_;
}

}  // namespace
}  // namespace megin::cli
