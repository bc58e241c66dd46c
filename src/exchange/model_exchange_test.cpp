// Checkpoints as model directories and back, as files.
#include "exchange/model_exchange.h"

#include "exchange/exchange_fixture.h"
#include "store/expert_conversion.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::ThrowsMessage;

class ModelExchangeTest : public CheckpointTest {
 protected:
  ModelExchangeTest() : CheckpointTest("marian") {}

  void import() { import_model(folder_, root_ / "model"); }
  store::ModelDirectory model(const std::string& name = "model") const {
    return store::open_model_directory(root_ / name);
  }
  // The imported model with other tensors or another configuration.
  void rewrite(const std::string& name, const config::ModelConfig& config,
               const std::vector<store::FloatTensor>& tensors) const {
    const store::ModelDirectory from = model();
    store::ModelDescription description = from.description;
    description.model = config;
    write_model_directory(root_ / name, description, store::views(tensors), from.subwords);
  }
  std::vector<store::FloatTensor> tensors() const {
    std::vector<store::FloatTensor> all;
    const store::ModelDirectory from = model();
    for (const auto& tensor : from.weights.tensors()) {
      const auto values = store::float_values(tensor);
      all.push_back({.name = tensor.name, .shape = tensor.shape, .values = {values.begin(), values.end()}});
    }
    return all;
  }
};

TEST_F(ModelExchangeTest, KeepsWhatAnExportNeeds) {
  const store::ModelDescription description = import_model(folder_, root_ / "model");
  EXPECT_EQ(description.provenance.method, "imported marian");
  const store::ModelDirectory opened = model();
  EXPECT_EQ(opened.description.source_language, "de");
  EXPECT_EQ(opened.description.target_language, "en");
  EXPECT_FALSE(opened.subwords.joint());
  EXPECT_EQ(opened.subwords.imported, root_ / "model" / "imported");
  for (const char* const file : {"config.json", "vocab.json", "source.spm", "target.spm"}) {
    EXPECT_EQ(read_file(opened.subwords.imported / file), read_file(folder_ / file)) << file;
  }
  // And a model made out of it keeps it, too.
  rewrite("copy", opened.description.model, tensors());
  EXPECT_TRUE(fs::exists(root_ / "copy" / "imported" / "vocab.json"));
}

TEST_F(ModelExchangeTest, WritesTheCheckpointBack) {
  import();
  EXPECT_EQ(export_model(model(), model().subwords.imported, root_ / "back"), "marian");
  EXPECT_EQ(read_file(root_ / "back" / "source.spm"), read_file(folder_ / "source.spm"));
  EXPECT_EQ(nlohmann::json::parse(read_file(root_ / "back" / "config.json")),
            nlohmann::json::parse(read_file(folder_ / "config.json")));
  const SourceTensors source(folder_), back(root_ / "back");
  for (const auto& [name, tensor] : back.all())
    EXPECT_EQ(tensor.read(), source.all().at(name).read()) << name;
  import_model(root_ / "back", root_ / "again");
  EXPECT_EQ(read_file(root_ / "again" / "model.safetensors"),
            read_file(root_ / "model" / "model.safetensors"));
  EXPECT_EQ(read_file(root_ / "again" / "config.json"), read_file(root_ / "model" / "config.json"));
}

// Positions that were trained are written, as they are no longer the formula's.
TEST_F(ModelExchangeTest, WritesPositionsThatWereTrained) {
  import();
  auto changed = tensors();
  std::ranges::find(changed, "decoder.positions.weight", &store::FloatTensor::name)->values[5] = 0.25F;
  rewrite("trained", model().description.model, changed);
  export_model(model("trained"), root_ / "model" / "imported", root_ / "back");
  const SourceTensors back(root_ / "back");
  EXPECT_TRUE(back.all().contains("model.decoder.embed_positions.weight"));
  EXPECT_FALSE(back.all().contains("model.encoder.embed_positions.weight"));
  import_model(root_ / "back", root_ / "again");
  EXPECT_EQ(read_file(root_ / "again" / "model.safetensors"),
            read_file(root_ / "trained" / "model.safetensors"));
}

// Keys of how a model was trained, and where experts would be in a recipe of a dense control.
TEST_F(ModelExchangeTest, WritesAModelWhoseRecipeSaysMoreThanItsArchitecture) {
  import();
  config::ModelConfig trained = model().description.model;
  trained.initialisation = config::Initialisation::kNormal;
  trained.experts.every = 1;
  trained.experts.feed_forward = 8;
  trained.group_dropout.groups = 4;
  trained.head_width = trained.width / trained.heads;
  rewrite("trained", trained, tensors());
  export_model(model("trained"), model().subwords.imported, root_ / "back");
  import_model(root_ / "back", root_ / "again");
  EXPECT_EQ(read_file(root_ / "again" / "model.safetensors"),
            read_file(root_ / "model" / "model.safetensors"));
}

TEST_F(ModelExchangeTest, RefusesToExportWhatTheArchitectureLacks) {
  import();
  const store::ModelDirectory dense = model();
  const auto experts = store::split_into_experts(
      dense.description.model,
      [&](const std::string& name) { return store::float_values(dense.weights.at(name)); }, {.experts = 2});
  rewrite("experts", experts.model, experts.tensors);
  EXPECT_THAT([&] { export_model(model("experts"), dense.subwords.imported, root_ / "back"); },
              ThrowsMessage<UsageError>(testing::AllOf(
                  HasSubstr("wanted a dense model, found one with experts, for which marian models"),
                  HasSubstr("megin export --all (or --path, --mean) first makes a dense model"),
                  testing::Not(HasSubstr("{")))));
  config::ModelConfig relu = dense.description.model;
  relu.activation = config::Activation::kRelu;
  rewrite("relu", relu, tensors());
  EXPECT_THAT([&] { export_model(model("relu"), dense.subwords.imported, root_ / "back"); },
              ThrowsMessage<UsageError>(testing::AllOf(
                  HasSubstr("model.activation: wanted \"silu\", as "),
                  HasSubstr("config.json has it, found \"relu\"; only a dense model of that shape"))));
  EXPECT_FALSE(fs::exists(root_ / "back"));
  EXPECT_THROW(export_model(dense, dense.subwords.imported, root_ / "model"), Error) << "exists";
}

TEST_F(ModelExchangeTest, LeavesNothingBehindAfterARefusal) {
  set("d_model", 36);
  EXPECT_THROW(import(), Error);
  EXPECT_FALSE(fs::exists(root_ / "model"));
  fs::remove(folder_ / "vocab.json");
  set("d_model", 24);
  EXPECT_THAT([&] { import(); }, ThrowsMessage<Error>(HasSubstr("vocab.json")));
  EXPECT_THAT([&] { import_model(root_, root_ / "model"); }, ThrowsMessage<Error>(HasSubstr("config.json")));
}

}  // namespace
}  // namespace megin::exchange
