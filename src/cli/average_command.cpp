// megin average: one model out of several, by the arithmetic mean of their weights.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "store/averaging.h"
#include "store/checkpoint.h"
#include "store/model_directory.h"

namespace megin::cli {
namespace {

namespace fs = std::filesystem;

struct AverageOptions {
  std::string output;
  std::vector<std::string> inputs;
  int64_t last = 0;  // 0: the inputs are models
};

// What of a configuration must agree for a mean to make sense; dropout plays no part outside training.
config::ModelConfig comparable(config::ModelConfig config) {
  config.preset.clear();
  config.dropout = config.attention_dropout = config.activation_dropout = 0;
  config.group_dropout = {};
  return config;
}

void require_same_kind(const store::ModelDirectory& first, const store::ModelDirectory& other) {
  if (comparable(first.description.model) != comparable(other.description.model)) {
    fail(
        "{}: its model configuration differs from that of {}; only models of one architecture can be "
        "averaged",
        other.path.string(), first.path.string());
  }
  if (file_checksum(first.subwords.source) != file_checksum(other.subwords.source) ||
      file_checksum(first.subwords.target) != file_checksum(other.subwords.target)) {
    fail("{}: its subword model differs from that of {}; only models of one vocabulary can be averaged",
         other.path.string(), first.path.string());
  }
}

// Where the mean comes from. Scores are left out: nobody has measured it yet.
store::Provenance joined(const std::vector<store::ModelDirectory>& models) {
  store::Provenance result = models.front().description.provenance;
  std::set<std::string> methods;
  std::set<uint64_t> seeds;
  for (const store::ModelDirectory& model : models) {
    const store::Provenance& one = model.description.provenance;
    methods.insert(one.method);
    seeds.insert(one.seeds.begin(), one.seeds.end());
    result.updates = std::max(result.updates, one.updates);
    if (one.data_checksum != result.data_checksum) result.data_checksum.clear();
  }
  result.method = fmt::format("{}", fmt::join(methods, ", "));
  result.seeds.assign(seeds.begin(), seeds.end());
  result.scores.clear();
  result.averaged.clear();
  return result;
}

// What is written: the mean's description and where its subword model is taken from.
struct Mean {
  store::ModelDescription description;
  store::SubwordFiles subwords;
  std::vector<store::FloatTensor> tensors;
};

Mean average_models(const std::vector<std::string>& inputs) {
  std::vector<store::ModelDirectory> models;
  for (const std::string& input : inputs) {
    models.push_back(store::open_model_directory(find_model(input)));
    require_same_kind(models.front(), models.back());
  }
  std::vector<store::WeightSource> sources;
  for (const store::ModelDirectory& model : models) sources.push_back({.file = &model.weights, .prefix = ""});
  Mean mean{.description = models.front().description,
            .subwords = models.front().subwords,
            .tensors = store::average_weights(sources)};
  // Scales were measured of each model, and a mean is another one.
  mean.description.model.experts.scales = false;
  std::erase_if(mean.tensors,
                [](const store::FloatTensor& tensor) { return tensor.name.ends_with(".scale"); });
  mean.description.provenance = joined(models);
  mean.description.provenance.averaged = inputs;
  return mean;
}

Mean average_checkpoints(const fs::path& run, int64_t last) {
  if (!fs::exists(run / "model")) {
    fail("{}: wanted a run directory with a model in it, found none; 'megin train' writes RUN/model",
         (run / "model").string());
  }
  const std::vector<store::Checkpoint> checkpoints = store::newest_good_checkpoints(
      run, last,
      [](int64_t, const std::string& what) { spdlog::warn("skipped a damaged checkpoint: {}", what); });
  if (static_cast<int64_t>(checkpoints.size()) < last) {
    fail(
        "{}: wanted {} good checkpoints, found {}; ask for --last {} or fewer, or train with a larger "
        "train.keep_checkpoints",
        (run / "checkpoints").string(), last, checkpoints.size(), checkpoints.size());
  }
  const store::ModelDirectory model = store::open_model_directory(run / "model");
  std::vector<store::WeightSource> sources;
  std::vector<std::string> names;
  for (const store::Checkpoint& checkpoint : checkpoints) {
    sources.push_back({.file = &checkpoint.tensors, .prefix = std::string(store::kValuePrefix)});
    names.push_back(checkpoint.directory.filename().string());
  }
  Mean mean{.description = model.description,
            .subwords = model.subwords,
            .tensors = store::average_weights(sources)};
  mean.description.provenance.updates = checkpoints.front().update;
  mean.description.provenance.scores.clear();
  mean.description.provenance.averaged = names;
  return mean;
}

void average(const AverageOptions& options, CommandContext& context) {
  if (options.last > 0 && options.inputs.size() != 1) {
    fail_usage("megin average: --last takes the checkpoints of one run directory, found {} inputs",
               options.inputs.size());
  }
  const Mean mean = options.last > 0 ? average_checkpoints(options.inputs.front(), options.last)
                                     : average_models(options.inputs);
  store::write_model_directory(options.output, mean.description, store::views(mean.tensors), mean.subwords);

  const std::vector<std::string>& averaged = mean.description.provenance.averaged;
  if (context.json) {
    context.out << nlohmann::ordered_json{{"model", options.output}, {"averaged", averaged}}.dump() << "\n";
  } else {
    context.out << fmt::format("{}: the mean of {}\n", options.output, fmt::join(averaged, ", "));
  }
}

}  // namespace

void add_average_command(Program& program) {
  auto options = std::make_shared<AverageOptions>();
  CLI::App& command = program.add(
      {.name = "average",
       .summary = "Average the weights of models or of a run's checkpoints",
       .details =
           "Writes a model directory whose weights are the mean of the given models' (which must be of one "
           "architecture and vocabulary), or with --last of a run's newest checkpoints. The mean of the last "
           "5 to 10 usually translates a little better than the last one.",
       .examples = "megin average run/mean run --last 5\n"
                   "megin average mean run1/model run2/model"},
      [options](CommandContext& context) { average(*options, context); });
  command
      .add_option("OUT", options->output, "the model directory to write; a model that is there is replaced")
      ->required()
      ->type_name("");
  command.add_option("MODEL", options->inputs, "model directories; with --last one run directory")
      ->required()
      ->type_name("");
  command.add_option("--last", options->last, "average so many newest checkpoints of the run")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->type_name("N");
}

}  // namespace megin::cli
