// megin calibrate: measures how large the output of expert layers is by the number of experts a token, and
// writes a model with the factors that make it alike (runtime/output_scales.h).
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "base/progress.h"
#include "cli/command.h"
#include "cli/model_path.h"
#include "cli/rewritten_model.h"
#include "cli/test_files.h"
#include "store/tensor_names.h"

namespace megin::cli {
namespace {

struct CalibrateOptions {
  std::string model, output, tag;
  TestFiles files = {.source = {}, .reference = {}, .text = {}, .most_lines = 500, .masking = {}};
};

// Sources alone are translated, greedily.
void translate_sources(const LossTools& tools, const CalibrateOptions& options, Progress& progress) {
  runtime::TranslatorOptions translating{.search = tools.search, .lines = {.tag = options.tag}};
  translating.search.search.beam = 1;
  const runtime::Translator translator(tools.model, tools.bundle.source, tools.bundle.target, translating);
  text::LineReader lines(options.files.source);
  uint64_t read = 0;
  translator.translate(
      [&](runtime::TranslationInput& line, bool&) {
        if (read == options.files.most_lines || !lines.next(line.text)) return false;
        ++read;
        progress.advance();
        return true;
      },
      [](const runtime::TranslatedLine&) {}, [] {}, tools.pool);
}

void read_pairs(const LossTools& tools, const CalibrateOptions& options, Progress& progress) {
  const runtime::LineEncoder encoder(tools.bundle.source,
                                     {.max_tokens = tools.model.max_length(),
                                      .tag = options.tag,
                                      .warn = [](const std::string& text) { spdlog::warn(text); }});
  PairReader reader(options.files);
  FileLoss loss;
  TestPairs pairs;
  for (bool more = true; more;) {
    more = reader.next(pairs);
    add_pair_loss(tools, encoder, options.files.reference, pairs, loss);
    progress.advance(static_cast<int64_t>(pairs.sources.size()));
  }
}

// One thread: sums of numbers depend on their order.
runtime::OutputSquares measure(const CalibrateOptions& options, const runtime::ModelBundle& bundle,
                               Console& console) {
  const config::ModelConfig& config = bundle.weights->config;
  runtime::OutputSquares squares(config::count_expert_layers(config), config.experts.count);
  const runtime::Transformer model(bundle.weights, {.mode = config::DispatchMode::kRouter}, &squares);
  const runtime::BatchedSearch search;
  ThreadPool pool(1);
  const LossTools tools{bundle, model, search, pool};
  Progress progress({.label = "calibrate", .unit = "lines"}, console);
  if (!options.files.text.empty()) {
    text_loss(tools, options.files, 0, [&](int64_t lines) { progress.advance(lines); });
  } else if (options.files.reference.empty()) {
    translate_sources(tools, options, progress);
  } else {
    read_pairs(tools, options, progress);
  }
  return squares;
}

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
  TestFiles files = options.files;
  if (!config::is_language_model(config) && files.reference.empty())
    files.reference = files.source;  // none is wanted
  check_files(files, config);
  const runtime::OutputSquares squares = measure(options, bundle, context.console);
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
                               "megin analyze slimming calibrated --text valid.txt"},
                  [options](CommandContext& context) { calibrate(*options, context); });
  add_model_and_output(command, "a model directory, or a run directory with one", options->model,
                       options->output);
  command.add_option("--text", options->files.text, "a text for a language model");
  command.add_option("--src", options->files.source, "sources for a model that translates");
  command.add_option("--ref", options->files.reference,
                     "and their translations; without them the model translates by itself");
  command.add_option("--tag", options->tag, "target-language tag put before each source line, as <2de>");
  command.add_option("--lines", options->files.most_lines, "most lines that are read")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}).description(""))
      ->capture_default_str();
}

}  // namespace megin::cli
