#include "train/start_from.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/files.h"
#include "config/computed_part.h"
#include "config/run_config.h"
#include "store/model_directory.h"

namespace megin::train {
namespace {

namespace fs = std::filesystem;

bool is_of_head(const std::string& name) {
  return name.starts_with("classifier.");
}

bool may_be_missing(const std::string& name) {
  return name.find("router.") != std::string::npos || name.ends_with("dropout.logit") ||
         name.starts_with("mixture.") || is_of_head(name);
}

// An encoder_decoder takes of a masked_lm what its encoder reads and computes.
bool takes_encoder_alone(const config::ModelConfig& wanted, const config::ModelConfig& found) {
  return wanted.kind == config::ModelKind::kEncoderDecoder && config::is_masked_lm(found);
}

std::string source_embedding(const config::ModelConfig& config) {
  return config::shares_inputs(config) ? "embedding.weight" : "source_embedding.weight";
}

void check_subwords(const store::ModelDirectory& model, const data::PreparedData& data, bool encoder_alone) {
  const text::SubwordModel source(model.subwords.source), target(model.subwords.target);
  if (source.checksum() == data.source_subword->checksum() &&
      (encoder_alone || target.checksum() == data.target_subword->checksum())) {
    return;
  }
  fail("{}: its subwords are not those of {}; prepare the data with data.subword.model={}",
       model.path.string(), data.folder.string(), model.subwords.source.string());
}

// What shapes do not say, or say less well: all that a model computes but what chooses among experts.
config::ModelConfig architecture(const config::ModelConfig& of) {
  config::ModelConfig config = config::computed_part(of);
  config.classes = 0;
  if (config.positions != config::Positions::kLearned) config.max_length = 2;
  const config::ExpertConfig chosen;
  config.experts.router = chosen.router;
  config.experts.active = chosen.active;
  config.experts.gate = chosen.gate;
  config.experts.noisy = chosen.noisy;
  config.experts.biased = chosen.biased;
  config.experts.hash = chosen.hash;
  config.experts.scales = chosen.scales;  // of the other's training; the new one has none
  config.experts.distilled_input = chosen.distilled_input;
  config.experts.distilled_width = chosen.distilled_width;
  return config;
}

// "experts.count" and so on: the keys in which two models differ.
std::vector<std::string> differences(const config::ModelConfig& one, const config::ModelConfig& other) {
  const auto difference = nlohmann::json::diff(config::model_to_json(one), config::model_to_json(other));
  std::vector<std::string> keys;
  for (const auto& step : difference) {
    std::string key = step.at("path").get<std::string>().substr(1);
    std::ranges::replace(key, '/', '.');
    keys.push_back(std::move(key));
  }
  return keys;
}

// Without all that is no part of the encoder.
config::ModelConfig without_decoder(config::ModelConfig config) {
  const config::ModelConfig standard;
  config.kind = standard.kind;
  config.decoder_layers = standard.decoder_layers;
  config.share_embeddings = standard.share_embeddings;
  config.scale_output = standard.scale_output;
  config.output_bias = standard.output_bias;
  config.output_transform = standard.output_transform;
  config.begin_vector = standard.begin_vector;
  config.target_vocabulary = config.source_vocabulary;
  config.mixture = {};
  return config;
}

void check_architecture(const store::ModelDirectory& found, const config::ModelConfig& wanted,
                        bool encoder_alone) {
  const config::ModelConfig& has = found.description.model;
  const auto differ =
      encoder_alone ? differences(architecture(without_decoder(wanted)), architecture(without_decoder(has)))
                    : differences(architecture(wanted), architecture(has));
  if (differ.empty()) return;
  fail("{}: its {} differs from the recipe's in {}; they must be the same{}", found.path.string(),
       encoder_alone ? "encoder" : "model", fmt::format("model.{}", fmt::join(differ, ", model.")),
       wanted.experts.count > 1 && has.experts.count == 1 ? " (megin convert makes experts of a dense model)"
                                                          : "");
}

// Training counts by these numbers.
void check_table(const store::ModelDirectory& model, const std::string& name, std::span<const float> table,
                 int64_t experts) {
  for (const float expert : table) {
    if (expert >= 0 && expert < static_cast<float>(experts) && expert == std::floor(expert)) continue;
    fail("{}: tensor {}: wanted whole numbers from 0 to {}, found {}", model.path.string(), name, experts - 1,
         expert);
  }
}

// What of a model directory a training begins with.
class Beginning {
 public:
  Beginning(const store::ModelDirectory& model, const config::ModelConfig& wanted,
            const data::PreparedData& data)
      : model_(model),
        wanted_(wanted),
        encoder_alone_(takes_encoder_alone(wanted, model.description.model)),
        other_classes_(model.description.classes != data.classes) {
    check_subwords(model, data, encoder_alone_);
    check_architecture(model, wanted, encoder_alone_);
  }

  void copy_into(net::ParameterMemory& parameters) {
    for (const net::Parameter& parameter : parameters.all()) {
      const std::string name = name_there(parameter.name);
      if (name.empty() && encoder_alone_) continue;
      const store::TensorView* const found = name.empty() ? nullptr : model_.weights.find(name);
      if (found != nullptr && found->shape == parameter.shape) {
        const std::span<const float> values = store::float_values(*found);
        if (name.ends_with("router.table")) check_table(model_, name, values, wanted_.experts.count);
        std::ranges::copy(values, parameters.values_of(parameter).begin());
        used_.push_back(name);
      } else if (may_be_missing(parameter.name)) {
        drawn_.push_back(parameter.name);
      } else if (!name.empty()) {
        fail("{}: wanted tensor {} {}, found {}", model_.path.string(), name,
             store::shape_text(parameter.shape), found == nullptr ? "none" : store::shape_text(found->shape));
      }
    }
  }

  void tell(Console& console) const {
    if (console.quiet()) return;
    const std::string path = model_.path.string();
    if (encoder_alone_) {
      console.print(
          fmt::format("begins with the encoder of {}, a masked_lm; the decoder is drawn{}", path,
                      config::shares_inputs(wanted_) ? " but for the embedding that both share" : ""));
    } else {
      console.print(fmt::format("begins with the weights of {}", path));
    }
    config::ModelConfig has = model_.description.model, wants = wanted_;
    if (encoder_alone_) has = without_decoder(has), wants = without_decoder(wants);
    has = config::computed_part(has), wants = config::computed_part(wants);
    has.classes = wants.classes;  // what became of the head is told below
    if (const auto differ = differences(wants, has); !differ.empty()) {
      console.print(fmt::format("other than that model's: model.{}", fmt::join(differ, ", model.")));
    }
    if (!drawn_.empty()) console.print(fmt::format("drawn, as it has none: {}", fmt::join(drawn_, ", ")));
    if (const auto rest = left_over(); !rest.empty()) {
      console.print(fmt::format("not used of it: {}", fmt::join(rest, ", ")));
    }
  }

 private:
  // Under which name the directory has what this parameter begins with; "" where it is drawn anyway.
  std::string name_there(const std::string& name) const {
    if (is_of_head(name) && other_classes_) return "";
    if (!encoder_alone_) return name;
    if (name == source_embedding(wanted_)) return source_embedding(model_.description.model);
    return name.starts_with("encoder.") || name.starts_with("embedding_norm.") ? name : "";
  }

  std::vector<std::string> left_over() const {
    std::vector<std::string> names;
    for (const store::TensorView& tensor : model_.weights.tensors()) {
      if (std::ranges::find(used_, tensor.name) == used_.end()) names.push_back(tensor.name);
    }
    return names;
  }

  const store::ModelDirectory& model_;
  const config::ModelConfig& wanted_;
  bool encoder_alone_, other_classes_;
  std::vector<std::string> used_, drawn_;
};

}  // namespace

void start_from(const fs::path& path, const data::PreparedData& data, TrainingState& state,
                Console& console) {
  const store::ModelDirectory model = store::open_model_directory(path);
  Beginning beginning(model, state.model.config(), data);
  beginning.copy_into(state.model.parameters());
  const auto values = state.model.parameters().values();
  if (!state.optimizer.average.empty()) std::ranges::copy(values, state.optimizer.average.begin());
  beginning.tell(console);
}

namespace {

fs::path record_path(const fs::path& run) {
  return run / "begun_from.json";
}

}  // namespace

std::string weights_checksum(const fs::path& model) {
  return fmt::format("{:016x}", file_checksum(model / "model.safetensors"));
}

void remember_start(const fs::path& model, const fs::path& run) {
  const nlohmann::ordered_json record = {{"model", fs::absolute(model).string()},
                                         {"checksum", weights_checksum(model)}};
  write_file_atomically(record_path(run), record.dump(2) + "\n");
}

fs::path begun_from(const fs::path& run) {
  if (!fs::exists(record_path(run))) return {};
  const auto record = nlohmann::json::parse(read_file(record_path(run)), nullptr, false);
  if (!record.is_object() || !record.contains("model") || !record.contains("checksum")) {
    fail("{}: wanted the model that the run began with, found something else", record_path(run).string());
  }
  const fs::path model = record["model"].get<std::string>();
  if (!fs::exists(model / "model.safetensors") || weights_checksum(model) != record["checksum"]) {
    fail(
        "{}: the run began with {}, which is gone or another one now, and has no checkpoint to go on from; "
        "begin "
        "a new run with --from",
        run.string(), model.string());
  }
  return model;
}

}  // namespace megin::train
