#include "train/teacher.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/files.h"
#include "config/enums.h"
#include "model/class_head.h"
#include "store/checkpoint.h"
#include "store/model_directory.h"
#include "train/predictions.h"
#include "train/start_from.h"
#include "train/validation.h"

namespace megin::train {
namespace {

namespace fs = std::filesystem;

// A run's model lies in it.
fs::path model_in(const fs::path& path) {
  const bool is_run =
      !fs::exists(path / "model.safetensors") && fs::exists(path / "model" / "model.safetensors");
  return is_run ? path / "model" : path;
}

// The classes of a model and its labels' order are those of the data that it was trained on.
void check_classes(const store::ModelDirectory& teacher, const data::PreparedData& data,
                   const config::ModelConfig& student) {
  const std::string where = teacher.path.string();
  const bool classifies = config::is_classifier(teacher.description.model);
  if (classifies != config::is_classifier(student)) {
    const std::string_view symbols = "a teacher that predicts symbols", classes = "a classifier as a teacher";
    fail("{}: wanted {}, as the recipe's model, found {}", where, classifies ? symbols : classes,
         classifies ? "a classifier" : "a model that predicts symbols");
  }
  if (teacher.description.classes == data.classes) return;
  fail("{}: wanted a teacher of the classes {}, as {} has them, found {}; train it on data with these labels",
       where, fmt::join(data.classes, ", "), data.folder.string(),
       fmt::join(teacher.description.classes, ", "));
}

void check_teaches(const store::ModelDirectory& teacher, const data::PreparedData& data,
                   const config::ModelConfig& student) {
  const config::ModelConfig& model = teacher.description.model;
  const std::string where = teacher.path.string();
  if (config::is_mixture(model)) fail("{}: wanted one model as a teacher, found a mixture", where);
  if (model.kind != student.kind) {
    fail("{}: wanted a teacher of the kind {}, as the recipe's model, found {}", where,
         config::enum_name(student.kind), config::enum_name(model.kind));
  }
  check_classes(teacher, data, student);
  const text::SubwordModel source(teacher.subwords.source), target(teacher.subwords.target);
  if (source.checksum() != data.source_subword->checksum() ||
      target.checksum() != data.target_subword->checksum()) {
    fail(
        "{}: a teacher predicts the data's symbols, but its subwords are not those of {}; prepare the data "
        "with data.subword.model={}",
        where, data.folder.string(), teacher.subwords.source.string());
  }
  if (!config::has_memory(model) && model.max_length < student.max_length) {
    fail("{}: wanted a teacher that reads sides of {} tokens (model.max_length), found {}", where,
         student.max_length, model.max_length);
  }
}

fs::path record_path(const fs::path& run) {
  return run / "teacher.json";
}

}  // namespace

Teacher::Teacher(const fs::path& path, const data::PreparedData& data, const config::ModelConfig& student) {
  const store::ModelDirectory found = store::open_model_directory(model_in(path));
  check_teaches(found, data, student);
  config::ModelConfig config = found.description.model;
  config.experts.scales = false;  // they are 1 for the number of experts that it is used with
  config.evaluation_block = 0;  // segments are as long as the student's, and see as far as its own training's
  dispatch_ = validation_dispatch({}, config);
  model_ = std::make_unique<model::Transformer>(config);
  net::ParameterMemory& parameters = model_->parameters();
  for (const net::Parameter& parameter : parameters.all()) {
    std::ranges::copy(store::float_values(found.weights.at(parameter.name)),
                      parameters.values_of(parameter).begin());
  }
}

objective::TeacherInputs Teacher::predict(const data::TokenBatch& batch, const net::Operations& operations,
                                          model::SegmentMemory& memory) const {
  const at::NoGradGuard no_gradients;
  const net::ForwardContext context{.training = false, .operations = operations, .dispatch = dispatch_};
  const at::Tensor states = model_->forward(batch, context, nullptr, {}, &memory);
  return {.states = predictions_of(*model_, states, batch, 1, operations).states,
          .output_weight = model_->output_weight(),
          .output_bias = model_->output_bias()};
}

at::Tensor Teacher::class_logits(const data::TokenBatch& batch, const net::Operations& operations) const {
  const at::NoGradGuard no_gradients;
  const net::ForwardContext context{.training = false, .operations = operations, .dispatch = dispatch_};
  return model::ClassHead(model_->parameters()).logits(model_->forward(batch, context), batch, context);
}

int64_t Teacher::active() const {
  const config::ExpertConfig& experts = config().experts;
  return dispatch_.mode == config::DispatchMode::kEnsemble ? experts.count : experts.active;
}

void remember_teacher(const fs::path& teacher, const fs::path& run) {
  const fs::path model = model_in(teacher);
  const nlohmann::ordered_json record = {{"model", fs::absolute(model).string()},
                                         {"checksum", weights_checksum(model)}};
  write_file_atomically(record_path(run), record.dump(2) + "\n");
}

void check_teacher(const fs::path& teacher, const fs::path& run) {
  if (!fs::exists(store::checkpoint_directory(run, 0).parent_path())) return;  // it begins anew
  const bool had = fs::exists(record_path(run));
  if (had == teacher.empty()) {
    fail(
        "{}: a resumed run keeps its teacher, but it began {} and goes on {} "
        "(train.objective.teacher.model)",
        run.string(), had ? "with one" : "without", had ? "without" : "with one");
  }
  if (!had) return;
  const auto record = nlohmann::json::parse(read_file(record_path(run)), nullptr, false);
  if (!record.is_object() || !record.contains("model") || !record.contains("checksum")) {
    fail("{}: wanted the teacher that the run began with, found something else", record_path(run).string());
  }
  if (record["checksum"] == weights_checksum(model_in(teacher))) return;
  fail(
      "{}: the run began with the teacher {}, and {} has other weights; give the one that it was "
      "(train.objective.teacher.model)",
      run.string(), record["model"].get<std::string>(), teacher.string());
}

}  // namespace megin::train
