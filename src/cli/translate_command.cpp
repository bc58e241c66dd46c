// megin translate: lines in, translations out.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <istream>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/human_text.h"
#include "base/progress.h"
#include "base/stop_signal.h"
#include "cli/command.h"
#include "cli/decoding_options.h"
#include "cli/output_file.h"
#include "config/enums.h"
#include "runtime/translator.h"
#include "text/line_reader.h"

namespace megin::cli {
namespace {

struct TranslateOptions {
  DecodingOptions decoding;
  std::string input, output, prefix_file;
  std::string on_too_long = "error";
  bool scores = false;
  bool sample = false;
  search::SamplingOptions sampling;
};

// The lines to translate, from a file or standard input, with their prefixes.
class Input {
 public:
  Input(const TranslateOptions& options, std::istream& standard_input) : standard_input_(standard_input) {
    // A signal must not leave half a file behind; without one it may end the program as it stands.
    if (!options.output.empty()) stop_.emplace();
    if (!options.input.empty() && options.input != "-") file_.emplace(options.input);
    if (!options.prefix_file.empty()) prefixes_.emplace(options.prefix_file);
  }

  bool next(runtime::TranslationInput& line, bool& more_at_once) {
    if (StopSignal::requested())
      fail("stopped by signal {}; no output was written", StopSignal::signal_number());
    if (!(file_ ? file_->next(line.text) : next_of_standard_input(line.text))) {
      check_prefixes_end();
      return false;
    }
    if (prefixes_ && !prefixes_->next(line.prefix)) {
      fail("{}: wanted a line for each input line (an empty one for no prefix), found only {}",
           prefixes_->path().string(), prefixes_->line_number());
    }
    // What is not buffered may be long in coming, when a person types it.
    more_at_once = file_ || standard_input_.rdbuf()->in_avail() > 0;
    return true;
  }

 private:
  bool next_of_standard_input(std::string& line) {
    if (!std::getline(standard_input_, line)) return false;
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }

  void check_prefixes_end() {
    std::string extra;
    if (prefixes_ && prefixes_->next(extra)) {
      fail("{}: wanted a line for each input line, found more", prefixes_->path().string());
    }
  }

  std::optional<StopSignal> stop_;
  std::istream& standard_input_;
  std::optional<text::LineReader> file_;
  std::optional<text::LineReader> prefixes_;
};

// Writes results as text lines, or as the elements of one JSON object.
class Writer {
 public:
  Writer(const TranslateOptions& options, bool json, bool many, std::ostream& out)
      : scores_(options.scores), json_(json), many_(many), out_(out) {
    if (json_) out_ << "{\"translations\":[";
  }

  void write(const runtime::TranslatedLine& line) {
    if (json_) {
      write_json(line);
    } else if (line.translations.empty()) {
      write_text(line.number, {});
    } else {
      for (const runtime::Translation& one : line.translations) write_text(line.number, one);
    }
  }

  void finish(const runtime::TranslationTotals& totals) {
    if (!json_) return;
    const nlohmann::ordered_json rest = {{"lines", totals.lines},
                                         {"empty", totals.empty},
                                         {"truncated", totals.truncated},
                                         {"skipped", totals.skipped},
                                         {"source_tokens", totals.source_tokens},
                                         {"target_tokens", totals.target_tokens}};
    out_ << "]," << rest.dump().substr(1) << "\n";
  }

 private:
  void write_text(uint64_t number, const runtime::Translation& one) {
    if (many_) {
      out_ << fmt::format("{}\t{:.6f}\t{}\n", number + 1, one.score, one.text);
    } else if (scores_) {
      out_ << fmt::format("{:.6f}\t{}\n", one.score, one.text);
    } else {
      out_ << one.text << '\n';
    }
  }

  void write_json(const runtime::TranslatedLine& line) {
    nlohmann::ordered_json element = {{"line", line.number + 1}, {"hypotheses", nlohmann::json::array()}};
    for (const runtime::Translation& one : line.translations) {
      element["hypotheses"].push_back(nlohmann::ordered_json{{"text", one.text},
                                                             {"score", one.score},
                                                             {"log_probability", one.log_probability},
                                                             {"tokens", one.tokens}});
    }
    using nlohmann::json;
    out_ << (first_ ? "\n" : ",\n") << element.dump(-1, ' ', false, json::error_handler_t::replace);
    first_ = false;
  }

  bool scores_, json_, many_;
  bool first_ = true;
  std::ostream& out_;
};

runtime::TranslatorOptions translator_options(const TranslateOptions& options) {
  runtime::TranslatorOptions result{.search = batched_search(options.decoding), .lines = {}};
  if (options.sample) {
    result.search.sampling = options.sampling;
    result.search.sampling->seed = options.decoding.seed;
    result.search.sampling->samples = result.search.search.nbest;
    result.search.search.nbest = 1;
  }
  result.lines.on_too_long = config::parse_enum<runtime::OnTooLong>(options.on_too_long, "--on-too-long");
  result.lines.tag = options.decoding.tag;
  result.lines.warn = [](const std::string& text) { spdlog::warn(text); };
  return result;
}

void translate(const TranslateOptions& options, CommandContext& context) {
  const runtime::ModelBundle bundle = runtime::open_model(options.decoding.model);
  require_kind(bundle, config::ModelKind::kEncoderDecoder, options.decoding.model);
  const runtime::Transformer model = serving_model(bundle, options.decoding);
  const runtime::Translator translator(model, bundle.source, bundle.target, translator_options(options));
  warn_about_tags(bundle, options.decoding);
  ThreadPool pool(thread_count(options.decoding));
  Input input(options, context.in);
  OutputFile output(options.output, context.out);
  Writer writer(options, context.json, options.decoding.search.search.nbest > 1, output.stream());

  const double start = system_clock().steady_seconds();
  std::optional<Progress> progress;  // results and a bar would tear each other apart on a terminal
  if (!options.output.empty()) {
    progress.emplace(ProgressOptions{.label = "translate", .unit = "lines"}, context.console);
  }
  const auto totals = translator.translate(
      [&](runtime::TranslationInput& line, bool& more) { return input.next(line, more); },
      [&](const runtime::TranslatedLine& line) {
        writer.write(line);
        if (progress) progress->advance();
      },
      [&] { output.flush(); }, pool);
  writer.finish(totals);
  output.commit();
  progress.reset();
  const double seconds = system_clock().steady_seconds() - start;
  spdlog::info("translated {} lines in {}, {:.0f} target tokens/s; experts: {}", totals.lines,
               human_duration(seconds), static_cast<double>(totals.target_tokens) / seconds,
               describe(model.dispatch()));
}

void add_search_options(CLI::App& command, TranslateOptions& options) {
  command.add_option("--nbest", options.decoding.search.search.nbest, "outputs of each line, at most --beam")
      ->capture_default_str();
  command.add_option("--prefix-file", options.prefix_file, "what each line's translation must begin with");
  command.add_flag("--sample", options.sample, "draw from the model's distribution instead of searching");
  command.add_option("--temperature", options.sampling.temperature, "of --sample; below 1 sharpens")
      ->capture_default_str();
  command.add_option("--top-k", options.sampling.top_k, "of --sample: among the K likeliest tokens; 0: all")
      ->capture_default_str();
  command
      .add_option("--top-p", options.sampling.top_p, "of --sample: among the likeliest tokens of this mass")
      ->capture_default_str();
}

}  // namespace

void add_translate_command(Program& program) {
  auto options = std::make_shared<TranslateOptions>();
  CLI::App& command = program.add(
      {.name = "translate",
       .summary = "Translate lines of text",
       .details =
           "Reads one sentence a line and writes one translation a line, in the same order; an empty line "
           "stays "
           "empty. The result is the same bytes at any --batch-tokens and --threads. With --nbest above 1 "
           "each output line is NUMBER, SCORE and TEXT, separated by tabs.",
       .examples = "megin translate run/model < source.txt > output.txt\n"
                   "megin translate run --input source.txt.gz --output output.txt --beam 5\n"
                   "megin translate run --experts ensemble --scores < source.txt\n"
                   "echo 'A dog runs.' | megin translate run --sample --nbest 3 --seed 7"},
      [options](CommandContext& context) { translate(*options, context); });
  add_decoding_options(command, options->decoding);
  command.add_option("-i,--input", options->input, "text file, also .gz or .zst; otherwise standard input");
  command.add_option("-o,--output", options->output,
                     "appears whole or not at all; otherwise standard output");
  command.add_flag("--scores", options->scores, "put the score and a tab before each translation");
  command
      .add_option("--on-too-long", options->on_too_long,
                  "a line longer than the model can read: error, truncate or skip (both with a warning)")
      ->capture_default_str();
  add_search_options(command, *options);
}

}  // namespace megin::cli
