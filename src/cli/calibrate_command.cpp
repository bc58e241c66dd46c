// megin calibrate: measures how large the output of expert layers is by the number of experts a token, and
// writes a model with the factors that make it alike (runtime/output_scales.h).
#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "cli/command.h"
#include "cli/measured_run.h"
#include "cli/rewritten_model.h"
#include "runtime/model_bundle.h"
#include "store/tensor_names.h"

namespace megin::cli {
namespace {

struct CalibrateOptions {
  std::string model, output;
  ReadFiles read;
};

store::ConvertedModel with_scales(const config::ModelConfig& model, const store::TensorLookup& tensors,
                                  const runtime::OutputSquares& squares) {
  store::ConvertedModel result{.model = model, .tensors = {}};
  result.model.experts.scales = true;
  std::map<std::string, std::vector<float>> scales;
  for (const config::Stack stack : {config::Stack::kEncoder, config::Stack::kDecoder}) {
    for (int64_t layer = 0; layer < config::layers_of(model, stack); ++layer) {
      if (!config::is_expert_layer(model, stack, layer)) continue;
      scales[store::scale_name(model, stack, layer)] =
          squares.scales(config::expert_layer_number(model, stack, layer), model.experts.active);
    }
  }
  for (const store::TensorShape& wanted : store::tensor_shapes(result.model)) {
    store::FloatTensor tensor{.name = wanted.name, .shape = wanted.shape, .values = {}};
    if (const auto found = scales.find(wanted.name); found != scales.end()) {
      tensor.values = found->second;
    } else {
      const std::span<const float> values = tensors(wanted.name);
      tensor.values.assign(values.begin(), values.end());
    }
    result.tensors.push_back(std::move(tensor));
  }
  return result;
}

void calibrate(const CalibrateOptions& options, CommandContext& context) {
  const runtime::ModelBundle bundle = runtime::open_model(options.model);
  const config::ModelConfig& config = bundle.weights->config;
  if (config.experts.count == 1 || !config::is_elastic(config.experts.router)) {
    fail_usage(
        "{}: wanted a model whose tokens may meet any number of experts (smoe_dropout, top_k, switch, or one "
        "that megin convert made)",
        options.model);
  }
  runtime::OutputSquares squares(config::count_expert_layers(config), config.experts.count);
  run_over(options.read,
           {.bundle = bundle,
            .dispatch = {.mode = config::DispatchMode::kRouter},
            .measured = {.squares = &squares},
            .label = "calibrate"},
           context.console);
  write_rewritten(options.model, options.output,
                  fmt::format("scales for 1 to {} experts a token", config.experts.count), context,
                  [&](const config::ModelConfig& model, const store::TensorLookup& tensors) {
                    return with_scales(model, tensors, squares);
                  });
}

}  // namespace

void add_calibrate_command(Program& program) {
  auto options = std::make_shared<CalibrateOptions>();
  CLI::App& command =
      program.add({.name = "calibrate",
                   .summary = "Scale experts' outputs for other numbers of them than were trained",
                   .details = "The output of an expert layer is a weighted mean of the answers of k experts, "
                              "whose size depends on k. "
                              "This measures it for every k, for the same inputs, on a little text, and "
                              "writes the model with a factor "
                              "for each expert layer and k that gives the output the root mean square of the "
                              "k that the model is used "
                              "with by default (whose factor is 1). --experts k=K then uses the factors, "
                              "--unscaled leaves them out; "
                              "training and export know nothing of them.",
                   .examples = "megin calibrate runs/smoe calibrated --text valid.txt\n"
                               "megin calibrate elastic calibrated --src valid.en --ref valid.de\n"
                               "megin calibrate runs/sst2 calibrated --labels valid.tsv\n"
                               "megin analyze slimming calibrated --text valid.txt"},
                  [options](CommandContext& context) { calibrate(*options, context); });
  add_model_and_output(command, "a model directory, or a run directory with one", options->model,
                       options->output);
  add_read_files(command, options->read);
}

}  // namespace megin::cli
