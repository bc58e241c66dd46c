#include "config/run_config.h"

#include <algorithm>

#include "base/error.h"
#include "base/files.h"
#include "config/check_together.h"
#include "config/fields.h"
#include "config/method.h"

namespace megin::config {
namespace {

namespace fs = std::filesystem;

// Takes the member out of a map; nothing when it is not there.
Value take(Value& map, std::string_view key) {
  const auto found =
      std::find_if(map.members.begin(), map.members.end(), [key](const Member& m) { return m.key == key; });
  if (found == map.members.end()) return {};
  Value value = std::move(found->value);
  map.members.erase(found);
  return value;
}

// Calls `call` and puts `where` before the message of a UsageError.
template <typename Call>
void at_place(const std::string& where, Call call) {
  try {
    call();
  } catch (const UsageError& error) {
    fail_usage("{}: {}", where, error.what());
  }
}

// The file with what it includes under it. `open` are the files that include this one.
Value read_with_includes(const fs::path& file, std::vector<fs::path>& open) {
  const fs::path canonical = fs::weakly_canonical(file);
  if (std::find(open.begin(), open.end(), canonical) != open.end()) {
    fail_usage("{}: includes itself through {}; break the circle", file.string(), open.back().string());
  }
  Value value = parse_yaml(read_file(file), file.string());
  if (value.kind != Value::Kind::kNothing) require_kind(value, "", Value::Kind::kMap);
  const Value include = take(value, "include");
  if (include.kind == Value::Kind::kNothing) return value;
  std::string name;
  read_field(include, "include", name);
  open.push_back(canonical);
  Value base = read_with_includes(file.parent_path() / name, open);
  open.pop_back();
  merge(base, std::move(value));
  return base;
}

// The recipe as a tree: includes, overrides and variables done.
Value read_tree(const fs::path& file, const std::vector<std::string>& overrides,
                const Environment& environment) {
  std::vector<fs::path> open;
  Value root = read_with_includes(file, open);
  Value given;
  for (const std::string& assignment : overrides) {
    const bool is_variable = assignment.starts_with("variables.");
    apply_override(is_variable ? given : root, assignment);
  }
  const Value defaults = take(root, "variables");
  expand_variables(root, {given.find("variables"), &defaults, environment});
  return root;
}

void apply_mixture(RunConfig& config, const Given& given, const MethodTraits& traits) {
  MixtureConfig& mixture = config.model.mixture;
  if (!traits.is_mixture) {
    mixture = {};
    return;
  }
  if (!given.contains("model.mixture.kind")) mixture.kind = traits.mixture;
  if (!given.contains("model.mixture.components")) {
    mixture.components = 2;
  } else if (mixture.components == 1) {
    fail_usage(
        "model.mixture.components: method {} wants 2 or more, found 1; of one it is train.method: dense",
        enum_name(config.train.method));
  }
}

void apply_method(RunConfig& config, const Given& given) {
  const MethodTraits traits = traits_of(config.train.method);
  const auto take = [&given](std::string_view path, auto& field, auto value) {
    if (!given.contains(std::string(path))) field = value;
  };
  ExpertConfig& experts = config.model.experts;
  take("train.objective.passes", config.train.objective.passes, traits.passes);
  take("train.objective.shared_dropout", config.train.objective.shared_dropout, traits.shared_dropout);
  ObjectiveConfig& objective = config.train.objective;
  take("train.objective.alpha", objective.alpha, traits.alpha);
  take("train.objective.weight_second", objective.weight_second, traits.weight_second);
  take("train.objective.fixed_first", objective.fixed_first, traits.fixed_first);
  take("train.objective.consistency_unit", objective.consistency_unit, traits.consistency_unit);
  take("train.objective.perturbation.kind", objective.perturbation.kind, traits.perturbation.kind);
  // Of another kind than the method's, the size is that kind's.
  const bool others_kind = objective.perturbation.kind != traits.perturbation.kind;
  const double size = !others_kind                                                ? traits.perturbation.size
                      : objective.perturbation.kind == Perturbation::kAdversarial ? kAdversarialSize
                                                                                  : kNoiseSize;
  take("train.objective.perturbation.size", objective.perturbation.size, size);
  take("train.objective.perturbation.target", objective.perturbation.target, traits.perturbation.target);
  take("train.routing.balance", config.train.routing.balance, traits.balance);
  take("model.experts.router", experts.router, traits.router);
  take("model.experts.gate", experts.gate, traits.gate);
  take("model.experts.biased", experts.biased, traits.biased);
  take("model.experts.active", experts.active, traits.active);
  take("model.experts.hash", experts.hash, traits.hash);
  // Without scores, one expert has no share.
  if (experts.active == 1 && !has_scores(experts.router))
    take("model.experts.gate", experts.gate, Gate::kNone);
  take("model.group_dropout.groups", config.model.group_dropout.groups, traits.dropout_groups);
  take("model.concrete_dropout", config.model.concrete_dropout, traits.concrete_dropout);
  if (traits.grows)
    take("train.routing.active_schedule", config.train.routing.active_schedule, ActiveSchedule::kLinear);
  if (!traits.has_experts) {
    const ExpertConfig given_experts = experts;
    experts = {};
    // Where experts would be; an inserted layer stays, with one expert.
    experts.body = given_experts.body;
    experts.every = given_experts.every;
    experts.offset = given_experts.offset;
    experts.layers = given_experts.layers;
    experts.sublayers = given_experts.sublayers;
    experts.feed_forward = given_experts.feed_forward;
    config.train.routing = {};
  } else if (!given.contains("model.experts.count")) {
    constexpr int64_t kGrown = 16;  // as Chen et al. 2023
    experts.count = traits.grows ? kGrown : 2 * traits.active;
  } else if (experts.count == 1) {
    fail_usage(
        "model.experts.count: method {} wants 2 or more experts, found 1; without experts it is "
        "train.method: {}",
        enum_name(config.train.method), traits.passes == 2 ? "r_drop" : "dense");
  } else if (experts.count <= traits.active && !given.contains("model.experts.active")) {
    fail_usage(
        "model.experts.count: method {} gives each token {} experts, so it wants more than that to "
        "choose from, found {}; set it, or model.experts.active",
        enum_name(config.train.method), traits.active, experts.count);
  }
  if (traits.grows && !given.contains("model.experts.active")) experts.active = experts.count;
  apply_mixture(config, given, traits);
}

// What a running text, or sentences with labels, want otherwise than pairs do.
void apply_task(RunConfig& config, const Given& given) {
  const bool classifies = config.data.task == Task::kClassification;
  if (config.data.task != Task::kTranslation && !given.contains("data.target_language")) {
    config.data.target_language = config.data.source_language;
  }
  if (!is_language_model(config.model)) return;
  if (!given.contains("train.objective.label_smoothing")) config.train.objective.label_smoothing = 0.0;
  ValidationConfig& validation = config.train.validation;
  if (!given.contains("train.validation.bleu")) validation.bleu = false;
  if (!given.contains("train.validation.best_by")) validation.best_by = classifies ? "accuracy" : "loss";
  if (!has_encoder(config.model) && !given.contains("model.encoder_layers")) config.model.encoder_layers = 0;
  if (!has_decoder(config.model) && !given.contains("model.decoder_layers")) config.model.decoder_layers = 0;
  if (is_masked_lm(config.model) && config.data.task != Task::kBytes &&
      !given.contains("data.subword.mask_symbol")) {
    config.data.subword.mask_symbol = true;
  }
}

// The preset comes first, as whatever is given wins over it.
void apply_preset(RunConfig& config, const Value& root) {
  const Value* const model = root.find("model");
  const Value* const data = root.find("data");
  const Value* const preset = model ? model->find("preset") : nullptr;
  const Value* const kind = model ? model->find("kind") : nullptr;
  const Value* const task = data ? data->find("task") : nullptr;
  if (preset) {
    read_field(*preset, "model.preset", config.model.preset);
    at_place(preset->where, [&] { apply_model_preset(config.model, config.model.preset); });
    return;
  }
  if (kind) read_field(*kind, "model.kind", config.model.kind);
  if (is_masked_lm(config.model)) {
    apply_model_preset(config.model, "tiny_mlm");
  } else if (task) {
    read_field(*task, "data.task", config.data.task);
    if (config.data.task != Task::kTranslation) apply_model_preset(config.model, "tiny_lm");
  }
}

// With the defaults of an empty recipe.
std::vector<FieldRow> all_fields() {
  RunConfig standard;
  apply_method(standard, {});
  std::vector<FieldRow> rows;
  std::vector<std::pair<std::type_index, std::string>> told;
  collect_rows(standard, "", rows, told);
  return rows;
}

// A key at the top that belongs into a section, as `method` for train.method.
void reject_keys_without_section(const Value& root) {
  const std::vector<FieldRow> fields = all_fields();
  for (const Member& member : root.members) {
    const auto is_under = [&](const FieldRow& row) { return row.path.starts_with(member.key + "."); };
    if (std::any_of(fields.begin(), fields.end(), is_under)) continue;
    const auto is_last = [&](const FieldRow& row) { return row.path.ends_with("." + member.key); };
    const auto meant = std::find_if(fields.begin(), fields.end(), is_last);
    if (meant == fields.end()) continue;
    fail_usage("{}: unknown key '{}'; did you mean '{}'?", member.where, member.key, meant->path);
  }
}

}  // namespace

RunConfig load_run_config(const fs::path& file, const std::vector<std::string>& overrides,
                          const Environment& environment) {
  const Value root = read_tree(file, overrides, environment);
  reject_keys_without_section(root);
  RunConfig config;
  apply_preset(config, root);
  Given given;
  read_field(root, "", config, given);
  apply_method(config, given);
  apply_task(config, given);
  if (!given.contains("train.data")) config.train.data = config.data.output;
  check(config.data);
  check(config.model);
  check(config.train);
  check_together(config, given);
  return config;
}

bool is_task_of(Task task, const ModelConfig& model) {
  switch (model.kind) {
    case ModelKind::kEncoderDecoder:
      return task == Task::kTranslation;
    case ModelKind::kCausalLm:
      return is_text(task) || task == Task::kClassification;
    case ModelKind::kMaskedLm:
      return task == Task::kLanguageModel || task == Task::kClassification;
  }
  __builtin_unreachable();
}

void require_for_prepare(const RunConfig& config) {
  if (config.data.output.empty())
    fail_usage("data.output: wanted the folder to write, found none; add it or --set data.output=DIR");
  if (config.data.corpora.empty())
    fail_usage("data.corpora: wanted at least one corpus, found none; list them under data.corpora");
}

void require_for_train(const RunConfig& config) {
  if (config.train.data.empty()) {
    fail_usage(
        "train.data: wanted the folder written by 'megin prepare', found none; add it or --set "
        "train.data=DIR");
  }
  if (config.train.run.empty())
    fail_usage("train.run: wanted the run directory to make, found none; add it or --set train.run=DIR");
}

std::string to_yaml(const RunConfig& config) {
  return json_to_yaml(as_json(config));
}

std::string field_table() {
  const std::vector<FieldRow> rows = all_fields();
  size_t path_width = 0, standard_width = 0;
  for (const FieldRow& row : rows) {
    path_width = std::max(path_width, row.path.size());
    standard_width = std::max(standard_width, row.standard.size());
  }
  std::string table;
  for (const FieldRow& row : rows) {
    table += fmt::format("{:<{}}  {:<{}}  {}\n", row.path, path_width, row.standard, standard_width,
                         row.description);
  }
  return table;
}

nlohmann::ordered_json model_to_json(const ModelConfig& model) {
  return as_json(model);
}

ModelConfig model_from_json(const nlohmann::json& json, const std::string& where) {
  ModelConfig model;
  Given given;
  const Value value = from_json(json, where);
  require_kind(value, "model", Value::Kind::kMap);
  read_field(value, "model", model, given);
  at_place(where, [&] { check(model); });
  return model;
}

nlohmann::ordered_json run_to_json(const RunConfig& config) {
  return as_json(config);
}

}  // namespace megin::config
