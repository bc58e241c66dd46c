// A recipe: one YAML file with the sections data, model and train, so that `megin prepare` and `megin train`
// read the same one. docs/configuration.md tells it to users.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "config/data_config.h"
#include "config/model_config.h"
#include "config/train_config.h"
#include "config/variables.h"

namespace megin::config {

struct RunConfig {
  DataConfig data;
  ModelConfig model;
  TrainConfig train;

  template <typename Self, typename Visitor>
  static void visit(Self& self, Visitor&& field) {
    field("data", self.data, "what `megin prepare` reads and writes");
    field("model", self.model, "the model");
    field("train", self.train, "how it is trained");
  }
  bool operator==(const RunConfig&) const = default;
};

// Reads a recipe and resolves it:
//   1. `include: other.yaml` (relative to the file) is read first; keys of the including file win;
//   2. `overrides` ("train.seed=2") are applied in order;
//   3. ${NAME} is replaced (variables.h);
//   4. fields that were not given come from the model preset, which where none is given is tiny_mlm for
//      model.kind masked_lm, else tiny_lm where data.task is not translation;
//   5. the method sets what it is made of (below), and a language model what it cannot have otherwise: no
//      label smoothing unless given, no BLEU, of a masked_lm a mask symbol;
//   6. train.data, when not given, is data.output;
//   7. every value is checked.
// What it returns, printed with to_yaml and read again, gives the same.
//
// The method sets what it is made of (config/method.h) where that is not given. It always decides whether
// there are experts: dense, r_drop, r3f and smart make model.experts.count 1 whatever was given (a layer of
// model.experts.body insert stays, with one expert and no choice), so that recipes that differ only in the
// method can share a base with the number of experts in it; the others keep a given count, which must be 2 or
// more, and else take twice the experts of a token (smoe_dropout 16).
//
// Throws UsageError with file, line and column for what is wrong in it, Error when a file cannot be read.
RunConfig load_run_config(const std::filesystem::path& file, const std::vector<std::string>& overrides,
                          const Environment& environment = process_environment);

// Whether data of this task is what such a model reads.
bool is_task_of(Task task, const ModelConfig& model);

// Throw UsageError naming the field that a command cannot do without: data.output and data.corpora;
// train.data and train.run.
void require_for_prepare(const RunConfig& config);
void require_for_train(const RunConfig& config);

// Every field, as a recipe.
std::string to_yaml(const RunConfig& config);

// A table of all fields for people: key, default in an empty recipe, meaning and choices.
std::string field_table();

// What a model directory's config.json holds of the model and of how it was trained. Reading throws
// UsageError that starts with `where` for a key or a value that cannot be.
nlohmann::ordered_json model_to_json(const ModelConfig& model);
ModelConfig model_from_json(const nlohmann::json& json, const std::string& where);
nlohmann::ordered_json run_to_json(const RunConfig& config);

}  // namespace megin::config
