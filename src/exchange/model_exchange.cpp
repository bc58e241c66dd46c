#include "exchange/model_exchange.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "base/error.h"
#include "config/computed_part.h"
#include "config/run_config.h"
#include "exchange/foreign_json.h"
#include "exchange/own_models.h"
#include "exchange/plan.h"

namespace megin::exchange {
namespace fs = std::filesystem;
namespace {

// A folder for what goes into a model directory beside its tensors; gone with the object.
class StagingFolder {
 public:
  StagingFolder() {
    std::string name = (fs::temp_directory_path() / "megin-import-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) fail("{}: cannot make a temporary folder", name);
    path_ = name;
  }
  StagingFolder(const StagingFolder&) = delete;
  StagingFolder& operator=(const StagingFolder&) = delete;
  ~StagingFolder() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

// In imported/: tensors of theirs that the model does not have.
constexpr const char* kKeptFile = "model.safetensors";

store::SubwordFiles stage(const Plan& plan, const fs::path& folder, const fs::path& to) {
  const bool joint = plan.source_subword == plan.target_subword;
  store::SubwordFiles files{.source = to / "source.model",
                            .target = to / (joint ? "source.model" : "target.model"),
                            .imported = to / store::kImportedFolder};
  write_file_atomically(files.source, plan.source_subword);
  if (!joint) write_file_atomically(files.target, plan.target_subword);
  fs::create_directory(files.imported);
  for (const std::string& name : plan.files)
    write_file_atomically(files.imported / name, read_file(folder / name));
  return files;
}

// `wanted_by`: what has the wanted values, as "as FILE has it".
void require_same_model(const store::ModelDirectory& model, const config::ModelConfig& config,
                        const Plan& plan, const std::string& wanted_by) {
  if (config.experts.count > 1 || config.experts.body == config::ExpertBody::kInsert) {
    fail_usage("{}: {}", model.path.string(), wanted_no_experts(plan.kind));
  }
  const auto found = config::model_to_json(config::computed_part(config));
  const auto wanted = config::model_to_json(config::computed_part(plan.model));
  // A classifier reads neither.
  const auto is_idle = [&](const std::string& key) {
    return config::is_classifier(config) && (key == "output_transform" || key == "output_bias");
  };
  for (const auto& [key, value] : wanted.items()) {
    if (is_idle(key)) continue;
    if (found.at(key) == value) continue;
    fail_usage("{}: model.{}: wanted {}, {}, found {}; only a dense model of that shape is a {} model",
               model.path.string(), key, value.dump(), wanted_by, found.at(key).dump(), plan.kind);
  }
}

void require_same_tokenizer(const store::ModelDirectory& model, const Plan& plan, const fs::path& files) {
  if (read_file(model.subwords.source) != plan.source_subword ||
      read_file(model.subwords.target) != plan.target_subword) {
    fail_usage("{}: wanted the tokenizer that {} describes, found another", model.path.string(),
               files.string());
  }
}

// config.json as it was, but for the numbers' type.
std::string their_config(const fs::path& file) {
  auto config = nlohmann::ordered_json::parse(read_file(file));
  for (const char* const key : {"torch_dtype", "dtype"}) {
    if (config.contains(key)) config[key] = "float32";
  }
  return config.dump(2) + "\n";
}

// The files of a BERT or RoBERTa, in `to`, as those of one that tells the model's classes.
void stage_classifier(const store::ModelDirectory& model, const Plan& plan, const fs::path& files,
                      const fs::path& to) {
  if (plan.kind != "bert" && plan.kind != "roberta") {
    fail_usage("{}: wanted the files of a bert or roberta for a classifier, found those of a {} in {}",
               model.path.string(), plan.kind, files.string());
  }
  for (const std::string& name : plan.files) write_file_atomically(to / name, read_file(files / name));
  auto config = nlohmann::ordered_json::parse(read_file(files / "config.json"));
  config["architectures"] = {std::string(plan.kind == "bert" ? "Bert" : "Roberta") +
                             "ForSequenceClassification"};
  auto names = nlohmann::ordered_json::object(), numbers = names;
  for (const std::string& label : model.description.classes) {
    const size_t number = numbers.size();
    names[std::to_string(number)] = label;
    numbers[label] = number;
  }
  config["id2label"] = names;
  config["label2id"] = numbers;
  config.erase("num_labels");
  config.erase("problem_type");
  write_file_atomically(to / "config.json", config.dump(2) + "\n");
}

void write_checkpoint(const Plan& plan, const std::vector<store::FloatTensor>& theirs, const fs::path& files,
                      const fs::path& output) {
  write_directory_atomically(output, [&](const fs::path& directory) {
    store::write_safetensors(directory / "model.safetensors", store::views(theirs), {{"format", "pt"}});
    for (const std::string& name : plan.files) {
      write_file_atomically(directory / name,
                            name == "config.json" ? their_config(files / name) : read_file(files / name));
    }
  });
}

}  // namespace

store::ModelDescription import_model(const fs::path& folder, const fs::path& output) {
  const Plan plan = read_plan(folder);
  const SourceTensors source(folder);
  const std::vector<store::FloatTensor> tensors = import_tensors(plan, source);
  store::ModelDescription description;
  description.model = plan.model;
  description.source_language = plan.source_language;
  description.target_language = plan.target_language;
  description.tags = plan.tags;
  description.classes = plan.classes;
  description.provenance.method = "imported " + plan.kind;
  const StagingFolder staging;
  const store::SubwordFiles files = stage(plan, folder, staging.path());
  const std::vector<store::FloatTensor> kept = kept_tensors(plan, source);
  if (!kept.empty()) store::write_safetensors(files.imported / kKeptFile, store::views(kept));
  write_model_directory(output, description, store::views(tensors), files);
  return description;
}

std::string export_model(const store::ModelDirectory& model, const fs::path& files, const fs::path& output) {
  Plan plan = read_plan(files);
  const StagingFolder staging;
  const bool other_classes = model.description.classes != plan.classes && !model.description.classes.empty();
  if (other_classes) {
    stage_classifier(model, plan, files, staging.path());
    plan = read_plan(staging.path());
  }
  require_same_model(model, model.description.model, plan,
                     fmt::format("as {} has it", (files / "config.json").string()));
  require_same_tokenizer(model, plan, files);
  std::vector<store::FloatTensor> tensors;
  for (const store::TensorView& tensor : model.weights.tensors()) {
    const auto values = store::float_values(tensor);
    tensors.push_back({.name = tensor.name, .shape = tensor.shape, .values = {values.begin(), values.end()}});
  }
  std::vector<store::FloatTensor> kept;
  if (!plan.kept.empty()) kept = kept_tensors(plan, SourceTensors(files));
  write_checkpoint(plan, export_tensors(plan, tensors, kept), other_classes ? staging.path() : files, output);
  return plan.kind;
}

std::string export_own_model(const store::ModelDirectory& model, const fs::path& output) {
  const StagingFolder staging;
  const ForeignForm form = describe_own_model(model, staging.path());
  const Plan plan = read_plan(staging.path());
  require_same_model(model, form.model, plan, fmt::format("as {} models of transformers have it", plan.kind));
  write_checkpoint(plan, export_tensors(plan, form.tensors, {}), staging.path(), output);
  return plan.kind;
}

}  // namespace megin::exchange
