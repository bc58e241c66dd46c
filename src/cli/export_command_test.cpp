// export --format huggingface of models that were not imported: what is imported again has the same logits.
#include "cli/small_models.h"
#include "runtime/model_bundle.h"

namespace megin::cli {

void add_export_command(Program& program);
void add_import_command(Program& program);

namespace {

using testing::HasSubstr;

class ExportCommandTest : public SmallModelsTest {
 protected:
  std::vector<float> log_probabilities(const std::string& model) const {
    const runtime::ModelBundle bundle = runtime::open_model(path(model));
    const runtime::Transformer transformer(bundle.weights, {});
    const std::vector<search::Source> sources = {{bundle.source.encode("ab cddc"), 0}};
    const auto state = transformer.begin(sources, 1);
    std::vector<float> all, step(static_cast<size_t>(transformer.vocabulary()));
    for (const int32_t token : {2, 5, 3, 7, 9}) {
      transformer.step(*state, {&token, 1}, step);
      all.insert(all.end(), step.begin(), step.end());
    }
    return all;
  }
  void expect_same_after_round_trip(const std::string& model, const std::string& kind) const {
    const Answer out = run("export", &add_export_command,
                           {path(model), path("theirs"), "--format", "huggingface", "--json"});
    ASSERT_EQ(out.code, 0) << out.errors;
    EXPECT_EQ(out.json()["kind"], kind);
    const Answer back = run("import", &add_import_command, {path("theirs"), path("back")});
    ASSERT_EQ(back.code, 0) << back.errors;
    EXPECT_EQ(log_probabilities("back"), log_probabilities(model));
  }
};

TEST_F(ExportCommandTest, ATranslationModelOfOurOwnComesBackAsMarian) {
  config::ModelConfig model = model_config();
  model.experts = {};
  write_model("own", model);
  expect_same_after_round_trip("own", "marian");
}

TEST_F(ExportCommandTest, ALanguageModelOfOurOwnComesBackAsGpt2) {
  const std::filesystem::path gpt2 = std::filesystem::path(MEGIN_TEST_FILES).parent_path().parent_path() /
                                     "exchange" / "test_files" / "gpt2";
  ASSERT_EQ(run("import", &add_import_command, {gpt2.string(), path("gpt2")}).code, 0);
  std::filesystem::copy_file(store::open_model_directory(path("gpt2")).subwords.source, path("subword"),
                             std::filesystem::copy_options::overwrite_existing);
  config::ModelConfig model = model_config();
  model.experts = {};
  model.kind = config::ModelKind::kCausalLm;
  model.encoder_layers = 0;
  model.norm_position = config::NormPosition::kPre;
  model.positions = config::Positions::kLearned;
  model.scale_embeddings = false;
  model.activation = config::Activation::kGeluTanh;
  write_model("own", model);
  expect_same_after_round_trip("own", "gpt2");
}

TEST_F(ExportCommandTest, ExpertsAreNamed) {
  const Answer out =
      run("export", &add_export_command, {path("translates"), path("theirs"), "--format", "huggingface"});
  EXPECT_EQ(out.code, 2);
  EXPECT_THAT(out.errors, HasSubstr("wanted a dense model, found one with experts, for which marian models "
                                    "of transformers have no form; megin "
                                    "export --all (or --path, --mean) first makes a dense model"));
}

}  // namespace
}  // namespace megin::cli
