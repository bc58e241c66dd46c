// Imported BERTs and RoBERTas compute what transformers does: small checkpoints with random weights, and the
// logits and states that transformers 4.46.3 gives for them (exchange/test_files/make_masked_files.py).
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/files.h"
#include "cli/command.h"
#include "exchange/model_exchange.h"
#include "exchange/plan.h"
#include "runtime/masked_model.h"
#include "runtime/model_bundle.h"

namespace megin::cli {

void add_import_command(Program& program);
void add_evaluate_command(Program& program);

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::HasSubstr;

constexpr double kTolerance = 1e-4;

class ImportMaskedTest : public testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) / (std::string("import_masked_") + GetParam());
    fs::remove_all(folder_);
    fs::create_directories(folder_);
    source_ = fs::path(MEGIN_TEST_FILES).parent_path().parent_path() / "exchange" / "test_files" / GetParam();
  }
  void TearDown() override { fs::remove_all(folder_); }

  int run(std::vector<std::string> arguments) {
    Program program;
    add_import_command(program);
    add_evaluate_command(program);
    out_.str("");
    err_.clear();
    return program.run(
        std::move(arguments),
        {.in = in_,
         .out = out_,
         .screen = {.write = [this](std::string_view bytes) { err_ += bytes; }, .width = [] { return 80; }}});
  }

  fs::path folder_, source_;
  std::istringstream in_;
  std::ostringstream out_;
  std::string err_;
};

TEST_P(ImportMaskedTest, HasTheNumbersOfTransformers) {
  const std::string path = (folder_ / "model").string();
  ASSERT_EQ(run({"import", source_.string(), path, "--quiet"}), 0) << err_;
  const exchange::Plan plan = exchange::read_plan(source_);
  const runtime::MaskedModel model(runtime::open_model(path).weights, {});
  std::vector<int32_t> ids(static_cast<size_t>(plan.their_symbols));  // of megin's, from theirs
  for (size_t id = 0; id < plan.symbols.size(); ++id)
    ids[static_cast<size_t>(plan.symbols[id].row)] = static_cast<int32_t>(id);

  size_t compared = 0;
  for (const json& line : json::parse(read_file(source_ / "expected.json"))) {
    if (!line.contains("read")) continue;
    SCOPED_TRACE(line.at("text"));
    search::Source read{.tokens = {}, .sentence = 0};
    for (const json& row : line.at("read")) read.tokens.push_back(ids[row.get<size_t>()]);
    const runtime::TokenStates states = model.states(std::span(&read, 1));
    const auto places = line.at("places").get<std::vector<int64_t>>();
    const bool has_logits = line.contains("logits");
    const auto wanted = line.at(has_logits ? "logits" : "states").get<std::vector<std::vector<double>>>();
    ASSERT_EQ(wanted.size(), places.size());
    const std::vector<float> logits = model.logits(states, places);
    for (size_t i = 0; i < places.size(); ++i) {
      for (size_t at = 0; at < wanted[i].size(); ++at, ++compared) {
        const float found =
            has_logits ? logits[i * ids.size() + static_cast<size_t>(ids[at])] : states.row(places[i])[at];
        ASSERT_NEAR(found, wanted[i][at], kTolerance) << "token " << places[i] << ", number " << at;
      }
    }
  }
  EXPECT_GT(compared, 500U);
}

TEST_P(ImportMaskedTest, IsMeasuredOnATextLikeAnyOther) {
  const std::string path = (folder_ / "model").string(), text = (folder_ / "text").string();
  std::ofstream(text) << "The captain looked at the sea and said nothing.\nA small boat came in 2021.\n";
  ASSERT_EQ(run({"import", source_.string(), path}), 0) << err_;
  EXPECT_THAT(out_.str(), HasSubstr("model: imported "));
  EXPECT_THAT(out_.str(), HasSubstr(" as masked_lm, "));
  ASSERT_EQ(run({"evaluate", path, "--text", text, "--whole-words", "--quiet"}), 0) << err_;
  EXPECT_THAT(out_.str(), HasSubstr("bits a masked token"));
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, ImportMaskedTest, testing::Values("bert", "bert_cased", "roberta"));

}  // namespace
}  // namespace megin::cli
