// megin classify: the class of each line.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <cmath>
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
#include "runtime/classifier.h"
#include "text/line_reader.h"

namespace megin::cli {
namespace {

constexpr size_t kLinesAtOnce = 2000;

struct ClassifyOptions {
  DecodingOptions decoding;
  std::string input, output;
  bool scores = false;
};

// Lines of a file or of standard input.
class Lines {
 public:
  Lines(const std::string& path, std::istream& standard_input) : standard_input_(standard_input) {
    if (!path.empty() && path != "-") file_.emplace(path);
  }

  // The next ones; empty at the end.
  std::vector<std::string> next() {
    std::vector<std::string> lines;
    for (std::string line; lines.size() < kLinesAtOnce && read(line);) {
      lines.push_back(line);
      // Who types wants the class of each line.
      if (!file_ && standard_input_.rdbuf()->in_avail() <= 0) break;
    }
    return lines;
  }

 private:
  bool read(std::string& line) {
    if (file_) return file_->next(line);
    if (!std::getline(standard_input_, line)) return false;
    if (line.ends_with('\r')) line.pop_back();
    return true;
  }

  std::istream& standard_input_;
  std::optional<text::LineReader> file_;
};

// Writes labels, one a line, or the elements of one JSON object.
class Writer {
 public:
  Writer(const ClassifyOptions& options, bool json, const std::vector<std::string>& classes,
         std::ostream& out)
      : scores_(options.scores), json_(json), classes_(classes), out_(out) {
    if (json_) out_ << "{\"classes\":" << nlohmann::json(classes_).dump() << ",\"sentences\":[";
  }

  void write(uint64_t number, const runtime::ClassScores& scores) {
    const std::string& label = classes_[static_cast<size_t>(scores.likeliest())];
    if (json_) {
      nlohmann::ordered_json element = {{"number", number + 1}, {"label", label}};
      for (const float score : scores.log_probabilities) element["probabilities"].push_back(std::exp(score));
      out_ << (number == 0 ? "\n" : ",\n") << element.dump();
      return;
    }
    out_ << label;
    for (const float score : scores.log_probabilities) {
      if (scores_) out_ << fmt::format("\t{:.6f}", std::exp(score));
    }
    out_ << "\n";
  }

  void finish(uint64_t lines) {
    if (json_) out_ << "],\"lines\":" << lines << "}\n";
  }

 private:
  bool scores_, json_;
  const std::vector<std::string>& classes_;
  std::ostream& out_;
};

void classify(const ClassifyOptions& options, CommandContext& context) {
  const runtime::ModelBundle bundle = runtime::open_model(options.decoding.model);
  if (!config::is_classifier(bundle.weights->config)) {
    fail_usage("{}: wanted a classifier (trained with data.task classification), found another model",
               options.decoding.model);
  }
  const runtime::Transformer model = serving_model(bundle, options.decoding);
  const runtime::Classifier classifier(model, bundle.target,
                                       {.batch_tokens = options.decoding.search.batch_tokens,
                                        .warn = [](const std::string& text) { spdlog::warn(text); }});
  ThreadPool pool(thread_count(options.decoding));
  // A signal must not leave half a file behind; without one it may end the program as it stands.
  std::optional<StopSignal> stop;
  if (!options.output.empty()) stop.emplace();
  Lines source(options.input, context.in);
  OutputFile output(options.output, context.out);
  Writer writer(options, context.json, bundle.directory->description.classes, output.stream());
  const double start = system_clock().steady_seconds();
  uint64_t number = 0;
  for (auto lines = source.next(); !lines.empty(); lines = source.next()) {
    if (StopSignal::requested())
      fail("stopped by signal {}; no output was written", StopSignal::signal_number());
    for (const runtime::ClassScores& scores : classifier.classify(lines, number, pool)) {
      writer.write(number++, scores);
    }
    output.flush();
  }
  writer.finish(number);
  output.commit();
  const double seconds = system_clock().steady_seconds() - start;
  spdlog::info("classified {} lines in {}, {:.0f} lines/s; experts: {}", number, human_duration(seconds),
               static_cast<double>(number) / std::max(seconds, 1e-9), describe(model.dispatch()));
}

}  // namespace

void add_classify_command(Program& program) {
  auto options = std::make_shared<ClassifyOptions>();
  CLI::App& command = program.add(
      {.name = "classify",
       .summary = "Tell the class of each line",
       .details =
           "Reads sentences, one a line, and writes the label of the likeliest class of each, an empty "
           "line's "
           "too. With --scores the probabilities of all classes follow, between tabs, in the order in which "
           "megin info names them. A line's result does not depend on other lines. Of a line with more than "
           "the model can read the first tokens count; a warning says so.",
       .examples = "megin classify run < sentences.txt\n"
                   "megin classify run --input sentences.txt --output labels.txt\n"
                   "megin classify run --scores --experts k=8 < sentences.txt"},
      [options](CommandContext& context) { classify(*options, context); });
  add_model_options(command, options->decoding);
  command.add_option("-i,--input", options->input,
                     "sentences, one a line; also .gz or .zst; without it, standard input");
  command.add_option("-o,--output", options->output,
                     "appears whole or not at all; otherwise standard output");
  command.add_flag("--scores", options->scores, "also write the probability of each class");
}

}  // namespace megin::cli
