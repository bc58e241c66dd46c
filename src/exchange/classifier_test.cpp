// Small classifiers (test_files/bert_classes with labels of its own, roberta_classes with transformers'
// standard ones) as models and back. What they tell of texts: cli/import_classifier_test.cpp.
#include "exchange/exchange_fixture.h"
#include "exchange/model_exchange.h"
#include "store/safetensors.h"

namespace megin::exchange {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::ThrowsMessage;

std::vector<store::FloatTensor> tensors_of(const store::ModelDirectory& model) {
  std::vector<store::FloatTensor> all;
  for (const store::TensorView& tensor : model.weights.tensors()) {
    const auto values = store::float_values(tensor);
    all.push_back({.name = tensor.name, .shape = tensor.shape, .values = {values.begin(), values.end()}});
  }
  return all;
}

class ClassifierTest : public CheckpointTest {
 protected:
  explicit ClassifierTest(const std::string& name) : CheckpointTest(name) {}

  // Import and export give the tensors and files of the folder.
  void expect_the_same_back() {
    import_model(folder_, root_ / "model");
    const store::ModelDirectory model = store::open_model_directory(root_ / "model");
    export_model(model, model.subwords.imported, root_ / "back");
    EXPECT_EQ(nlohmann::json::parse(read_file(root_ / "back" / "config.json")),
              nlohmann::json::parse(read_file(folder_ / "config.json")));
    const SourceTensors source(folder_), back(root_ / "back");
    ASSERT_EQ(back.all().size(), source.all().size());
    for (const auto& [name, tensor] : source.all()) {
      ASSERT_TRUE(back.all().contains(name)) << name;
      EXPECT_EQ(back.all().at(name).shape, tensor.shape) << name;
      EXPECT_EQ(back.all().at(name).read(), tensor.read()) << name;
    }
  }
  // The imported masked language model of test_files with a head, as megin train makes one of it.
  store::ModelDirectory trained_from(const std::string& name, const std::vector<std::string>& classes) const {
    import_model(fs::path(MEGIN_TEST_FILES) / name, root_ / name);
    const store::ModelDirectory from = store::open_model_directory(root_ / name);
    store::ModelDescription description = from.description;
    description.classes = classes;
    description.model.classes = static_cast<int64_t>(classes.size());
    auto tensors = tensors_of(from);
    const int64_t width = description.model.width, count = description.model.classes;
    const auto add = [&](const std::string& tensor, std::vector<int64_t> shape, int64_t size) {
      tensors.push_back({tensor, std::move(shape), std::vector<float>(static_cast<size_t>(size))});
      for (float& value : tensors.back().values) value = static_cast<float>(tensors.size()) * 0.25F;
    };
    add("classifier.hidden.weight", {width, width}, width * width);
    add("classifier.hidden.bias", {width}, width);
    add("classifier.output.weight", {count, width}, count * width);
    add("classifier.output.bias", {count}, count);
    store::SubwordFiles subwords = from.subwords;
    subwords.imported.clear();
    write_model_directory(root_ / "trained", description, store::views(tensors), subwords);
    return store::open_model_directory(root_ / "trained");
  }
};

class BertClassifierTest : public ClassifierTest {
 protected:
  BertClassifierTest() : ClassifierTest("bert_classes") {}
};

class RobertaClassifierTest : public ClassifierTest {
 protected:
  RobertaClassifierTest() : ClassifierTest("roberta_classes") {}
};

TEST_F(BertClassifierTest, HasThePoolerAsTheFirstLayerOfItsHead) {
  const Plan plan = read_plan(folder_);
  EXPECT_TRUE(config::is_masked_lm(plan.model));
  EXPECT_EQ(plan.model.classes, 3);
  EXPECT_THAT(plan.classes, ElementsAre("so so", "bad", "très bien"));
  EXPECT_FALSE(plan.model.output_transform || plan.model.output_bias);
  const SourceTensors source(folder_);
  const auto ours = import_tensors(plan, source);
  const auto values = [&](const char* name) {
    return std::ranges::find(ours, name, &store::FloatTensor::name)->values;
  };
  EXPECT_EQ(values("classifier.hidden.weight"), source.all().at("bert.pooler.dense.weight").read());
  EXPECT_EQ(values("classifier.output.bias"), source.all().at("classifier.bias").read());
}

TEST_F(BertClassifierTest, ComesBackBitForBit) {
  expect_round_trip(folder_, {});
  expect_the_same_back();
}

TEST_F(RobertaClassifierTest, ComesBackBitForBit) {
  expect_round_trip(folder_, {});
  expect_the_same_back();
}

TEST_F(RobertaClassifierTest, HasTheLabelsThatTransformersTakesByItself) {
  EXPECT_FALSE(nlohmann::json::parse(read_file(folder_ / "config.json")).contains("id2label"));
  EXPECT_THAT(read_plan(folder_).classes, ElementsAre("LABEL_0", "LABEL_1"));
  set("num_labels", 3);
  EXPECT_THAT(read_plan(folder_).classes, ElementsAre("LABEL_0", "LABEL_1", "LABEL_2"));
  EXPECT_THAT(refusal(), HasSubstr("classifier.out_proj.weight ([2, 16] and not [3, 16])"));
}

// Published ones have a pooler that nothing reads.
TEST_F(RobertaClassifierTest, KeepsAPooler) {
  std::vector<store::FloatTensor> tensors;
  {
    const SourceTensors source(folder_);
    for (const auto& [name, tensor] : source.all()) tensors.push_back({name, tensor.shape, tensor.read()});
  }
  tensors.push_back({"roberta.pooler.dense.weight", {16, 16}, std::vector<float>(256, 0.5F)});
  tensors.push_back({"roberta.pooler.dense.bias", {16}, std::vector<float>(16, 0.25F)});
  fs::remove(folder_ / "pytorch_model.bin");
  write_safetensors(folder_ / "model.safetensors", store::views(tensors));
  expect_the_same_back();
}

TEST_F(BertClassifierTest, RefusesWhatIsNoClassOfAText) {
  set("problem_type", "multi_label_classification");
  EXPECT_THAT(refusal(), HasSubstr("problem_type: wanted single_label_classification, as megin has no such "
                                   "models otherwise, found multi_label_classification"));
  set("problem_type", nullptr);
  EXPECT_EQ(refusal(), "");
  set("id2label", {{"0", "LABEL_0"}});
  EXPECT_THAT(refusal(),
              HasSubstr("config.json: num_labels: wanted 2 classes or more, found 1, which is a regression"));
  set("id2label", nullptr);
  for (const int64_t count : {int64_t{-1}, int64_t{0}, int64_t{10'001}, int64_t{1} << 40}) {
    set("num_labels", count);
    EXPECT_THAT(refusal(),
                HasSubstr("num_labels: wanted from 2 to 10000 classes, found " + std::to_string(count)));
  }
}

TEST_F(BertClassifierTest, RefusesLabelsThatDoNotFit) {
  const auto labels = [&](const nlohmann::json& found) {
    set("id2label", found);
    return refusal();
  };
  EXPECT_THAT(labels({"a", "b", "c"}), HasSubstr("id2label: wanted labels by their numbers, found array"));
  EXPECT_THAT(labels({{"0", "a"}, {"2", "b"}}), HasSubstr("id2label: wanted the numbers 0 to 1, found no 1"));
  EXPECT_THAT(labels({{"0", "a"}, {"1", 7}}), HasSubstr("id2label.1: wanted a label, found 7"));
  EXPECT_THAT(labels({{"0", "a"}, {"1", "a"}}),
              HasSubstr("id2label.1: wanted labels that all differ, found \"a\" once more"));
  for (const char* const label : {"", " a", "two  spaces", "a\tb", "a\nb", "a\u00a0b"}) {
    EXPECT_THAT(labels({{"0", label}, {"1", "b"}}),
                HasSubstr("id2label.0: wanted a label without white space but for single spaces within it, "
                          "found " +
                          nlohmann::json(label).dump()));
  }
  EXPECT_THAT(labels({{"0", "a"}, {"1", "b"}}), HasSubstr("classifier.weight ([3, 16] and not [2, 16])"));
  set("num_labels", 3);
  EXPECT_THAT(refusal(), HasSubstr("id2label: wanted 3 labels, as num_labels has it, found 2"));
}

// With the numbers of the new classes, whatever the old ones were.
TEST_F(BertClassifierTest, IsWrittenWithTheLabelsOfItsTraining) {
  import_model(folder_, root_ / "model");
  const store::ModelDirectory model = store::open_model_directory(root_ / "model");
  store::ModelDescription description = model.description;
  description.classes = {"a", "b", "c"};
  write_model_directory(root_ / "trained", description, store::views(tensors_of(model)), model.subwords);
  export_model(store::open_model_directory(root_ / "trained"), folder_, root_ / "back");
  const auto config = nlohmann::json::parse(read_file(root_ / "back" / "config.json"));
  EXPECT_EQ(config.at("id2label"), (nlohmann::json{{"0", "a"}, {"1", "b"}, {"2", "c"}}));
  EXPECT_EQ(config.at("label2id"), (nlohmann::json{{"a", 0}, {"b", 1}, {"c", 2}}));
}

TEST_F(BertClassifierTest, MayBeTrainedFromAnyBert) {
  for (const char* const name : {"bert", "bert_cased", "roberta"}) {
    SCOPED_TRACE(name);
    for (const char* const made : {"trained", "back", "again"}) fs::remove_all(root_ / made);
    const store::ModelDirectory trained = trained_from(name, {"bad", "good"});
    const std::string kind = export_model(trained, root_ / name / "imported", root_ / "back");
    const auto config = nlohmann::json::parse(read_file(root_ / "back" / "config.json"));
    EXPECT_EQ(config.at("architectures").at(0),
              kind == "bert" ? "BertForSequenceClassification" : "RobertaForSequenceClassification");
    EXPECT_EQ(config.at("id2label"), (nlohmann::json{{"0", "bad"}, {"1", "good"}}));
    EXPECT_THAT(import_model(root_ / "back", root_ / "again").classes, ElementsAre("bad", "good"));
    const store::ModelDirectory again = store::open_model_directory(root_ / "again");
    for (const store::TensorView& tensor : again.weights.tensors()) {
      const auto found = store::float_values(tensor),
                 wanted = store::float_values(trained.weights.at(tensor.name));
      EXPECT_TRUE(std::ranges::equal(found, wanted)) << tensor.name;
    }
  }
}

TEST_F(BertClassifierTest, IsNotWrittenOverTheFilesOfAnotherKind) {
  import_model(folder_, root_ / "model");
  const store::ModelDirectory model = store::open_model_directory(root_ / "model");
  EXPECT_THAT([&] { export_model(model, fs::path(MEGIN_TEST_FILES) / "gpt2", root_ / "back"); },
              ThrowsMessage<UsageError>(HasSubstr(
                  "wanted the files of a bert or roberta for a classifier, found those of a gpt2")));
  EXPECT_THAT([&] { export_own_model(model, root_ / "back"); },
              ThrowsMessage<UsageError>(HasSubstr("wanted a model that writes text, found a classifier")));
  import_model(fs::path(MEGIN_TEST_FILES) / "bert", root_ / "bert");
  EXPECT_THAT([&] { export_model(store::open_model_directory(root_ / "bert"), folder_, root_ / "back"); },
              ThrowsMessage<UsageError>(HasSubstr("only a dense model of that shape is a bert model")));
}

}  // namespace
}  // namespace megin::exchange
