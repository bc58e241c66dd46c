// megin generate: goes on with texts.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <istream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/human_text.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/decoding_options.h"
#include "cli/output_file.h"
#include "runtime/text_generator.h"
#include "text/line_reader.h"

namespace megin::cli {
namespace {

constexpr size_t kPromptsAtOnce = 256;

struct GenerateOptions {
  DecodingOptions decoding;
  std::vector<std::string> prompts;
  std::string input, output;
  int64_t max_tokens = 100;
  int64_t beam = 0;  // 0: sample
  bool many_lines = false;
  search::SamplingOptions sampling;
};

runtime::GeneratorOptions generator_options(const GenerateOptions& options) {
  runtime::GeneratorOptions result{
      .search = options.decoding.search, .max_tokens = options.max_tokens, .many_lines = options.many_lines};
  search::SearchOptions& search = result.search.search;
  if (options.beam == 0) {
    result.search.sampling = options.sampling;
    result.search.sampling->seed = options.decoding.seed;
    return result;
  }
  if (options.sampling.samples > options.beam) {
    fail_usage("--samples: wanted at most the --beam of {}, found {}; without --beam texts are drawn",
               options.beam, options.sampling.samples);
  }
  search.beam = options.beam;
  search.nbest = options.sampling.samples;
  return result;
}

// Prompts from the call, or lines of a file or of standard input.
class Prompts {
 public:
  Prompts(const GenerateOptions& options, std::istream& standard_input)
      : given_(options.prompts), standard_input_(standard_input) {
    if (!given_.empty() && !options.input.empty()) {
      fail_usage("--prompt and --input: wanted one of them, found both");
    }
    if (!options.input.empty() && options.input != "-") file_.emplace(options.input);
    reads_ = given_.empty();
  }

  // The next ones; empty at the end.
  std::vector<std::string> next() {
    std::vector<std::string> prompts = std::exchange(given_, {});
    std::string line;
    while (reads_ && prompts.size() < kPromptsAtOnce && read(line)) {
      prompts.push_back(line);
      // Who types wants to see what follows each line.
      if (!file_ && standard_input_.rdbuf()->in_avail() <= 0) break;
    }
    return prompts;
  }

 private:
  bool read(std::string& line) {
    if (file_) return file_->next(line);
    if (!std::getline(standard_input_, line)) return false;
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }

  std::vector<std::string> given_;
  std::istream& standard_input_;
  std::optional<text::LineReader> file_;
  bool reads_ = false;
};

// Writes texts as they are, or as the elements of one JSON object.
class Writer {
 public:
  Writer(const GenerateOptions& options, bool json, std::ostream& out)
      : many_lines_(options.many_lines), json_(json), out_(out) {
    if (json_) out_ << "{\"texts\":[";
  }

  void write(const std::string& prompt, uint64_t number, const runtime::GeneratedText& text) {
    if (!json_) {
      out_ << text.text << (many_lines_ ? "\n\n" : "\n");
      return;
    }
    using nlohmann::json;
    const nlohmann::ordered_json element = {{"number", number + 1},
                                            {"prompt", prompt},
                                            {"text", text.text},
                                            {"log_probability", text.log_probability},
                                            {"tokens", text.tokens}};
    out_ << (first_ ? "\n" : ",\n") << element.dump(-1, ' ', false, json::error_handler_t::replace);
    first_ = false;
  }

  void finish(uint64_t prompts, uint64_t tokens) {
    if (json_) out_ << "],\"prompts\":" << prompts << ",\"tokens\":" << tokens << "}\n";
  }

 private:
  bool many_lines_, json_;
  bool first_ = true;
  std::ostream& out_;
};

void generate(const GenerateOptions& options, CommandContext& context) {
  const runtime::ModelBundle bundle = runtime::open_model(options.decoding.model);
  require_kind(bundle, config::ModelKind::kCausalLm, options.decoding.model);
  const runtime::Transformer model = serving_model(bundle, options.decoding);
  const runtime::TextGenerator generator(model, bundle.target, generator_options(options));
  ThreadPool pool(thread_count(options.decoding));
  // A signal must not leave half a file behind; without one it may end the program as it stands.
  std::optional<StopSignal> stop;
  if (!options.output.empty()) stop.emplace();
  Prompts source(options, context.in);
  OutputFile output(options.output, context.out);
  Writer writer(options, context.json, output.stream());
  const double start = system_clock().steady_seconds();
  uint64_t number = 0, tokens = 0;
  for (auto prompts = source.next(); !prompts.empty(); prompts = source.next()) {
    if (StopSignal::requested())
      fail("stopped by signal {}; no output was written", StopSignal::signal_number());
    const auto texts = generator.generate(prompts, number, pool);
    for (size_t i = 0; i < prompts.size(); ++i) {
      for (const runtime::GeneratedText& text : texts[i]) {
        writer.write(prompts[i], number, text);
        tokens += static_cast<uint64_t>(text.tokens);
      }
      ++number;
    }
    output.flush();
  }
  writer.finish(number, tokens);
  output.commit();
  const double seconds = system_clock().steady_seconds() - start;
  spdlog::info("went on with {} prompts in {}, {:.0f} tokens/s; experts: {}", number, human_duration(seconds),
               static_cast<double>(tokens) / std::max(seconds, 1e-9), describe(model.dispatch()));
}

void add_options(CLI::App& command, GenerateOptions& options) {
  search::SamplingOptions& sampling = options.sampling;
  command.add_option("-p,--prompt", options.prompts, "text to go on with; may be given several times");
  command.add_option("-i,--input", options.input,
                     "prompts, one a line; also .gz or .zst; without it and --prompt, standard input");
  command.add_option("-o,--output", options.output, "appears whole or not at all; otherwise standard output");
  command.add_option("--max-tokens", options.max_tokens, "most tokens behind a prompt")
      ->capture_default_str();
  command.add_flag("--many-lines", options.many_lines,
                   "do not stop at the end of the line; a model of bytes never does");
  command.add_option("--samples", sampling.samples, "texts for each prompt (with --beam, the best ones)")
      ->capture_default_str();
  command
      .add_option("--temperature", sampling.temperature,
                  "without --beam: below 1 sharpens the model's distribution")
      ->capture_default_str();
  command.add_option("--top-k", sampling.top_k, "without --beam: draw among the K likeliest tokens; 0: all")
      ->capture_default_str();
  command
      .add_option("--top-p", sampling.top_p, "without --beam: draw among the likeliest tokens of this mass")
      ->capture_default_str();
  command.add_option("--beam", options.beam, "0: draw; 1: take the likeliest token; more: beam search")
      ->capture_default_str()
      ->check(CLI::NonNegativeNumber);
}

}  // namespace

void add_generate_command(Program& program) {
  auto options = std::make_shared<GenerateOptions>();
  CLI::App& command = program.add(
      {.name = "generate",
       .summary = "Go on with texts",
       .details =
           "Reads prompts and writes each with what a language model goes on with, drawn token by token "
           "(or searched for, with --beam).\n"
           "It stops at the end of the line, at --max-tokens, or where the model can read no further. "
           "The same --seed gives the same\n"
           "bytes at any --batch-tokens and --threads. With --many-lines an empty line follows each text.\n"
           "A model of bytes reads the prompt byte by byte and writes bytes, which need not be UTF-8.",
       .examples = "megin generate run --prompt 'The captain' --top-p 0.9\n"
                   "megin generate run --many-lines --max-tokens 60 --samples 3 --seed 7 < prompts.txt\n"
                   "megin generate run --input prompts.txt --beam 1 --output texts.txt"},
      [options](CommandContext& context) { generate(*options, context); });
  add_model_options(command, options->decoding);
  add_options(command, *options);
}

}  // namespace megin::cli
