#include "cli/measured_run.h"

#include <spdlog/spdlog.h>

#include "base/error.h"
#include "base/progress.h"
#include "cli/label_loss.h"

namespace megin::cli {
namespace {

void translate_sources(const LossTools& tools, const ReadFiles& read, Progress& progress) {
  runtime::TranslatorOptions translating{.search = tools.search, .lines = {.tag = read.tag}};
  translating.search.search.beam = 1;
  const runtime::Translator translator(tools.model, tools.bundle.source, tools.bundle.target, translating);
  text::LineReader lines(read.files.source);
  uint64_t taken = 0;
  translator.translate(
      [&](runtime::TranslationInput& line, bool&) {
        if (taken == read.files.most_lines && taken > 0) return false;
        if (!lines.next(line.text)) return false;
        ++taken;
        progress.advance();
        return true;
      },
      [](const runtime::TranslatedLine&) {}, [] {}, tools.pool);
}

void read_pairs(const LossTools& tools, const ReadFiles& read, Progress& progress) {
  const runtime::LineEncoder encoder(tools.bundle.source,
                                     {.max_tokens = tools.model.max_length(),
                                      .tag = read.tag,
                                      .warn = [](const std::string& text) { spdlog::warn(text); }});
  PairReader reader(read.files);
  FileLoss loss;
  TestPairs pairs;
  for (bool more = true; more;) {
    more = reader.next(pairs);
    add_pair_loss(tools, encoder, read.files.reference, pairs, loss);
    progress.advance(static_cast<int64_t>(pairs.sources.size()));
  }
}

// Nothing is measured, so that references and labels are not needed.
void check_read_files(const ReadFiles& read, const config::ModelConfig& model) {
  TestFiles wanted = read.files;
  if (config::is_classifier(model)) {
    const bool one = read.files.text.empty() != read.files.labels.path.empty();
    if (one && read.files.source.empty() && read.files.reference.empty()) return;
    fail_usage(
        "wanted --text FILE (sentences, one a line) or --labels FILE for a classifier, and no --src or "
        "--ref");
  }
  if (!config::is_language_model(model) && wanted.reference.empty()) wanted.reference = wanted.source;
  check_files(wanted, model);
}

}  // namespace

void add_read_files(CLI::App& command, ReadFiles& read) {
  command.add_option("--text", read.files.text,
                     "a text for a language model, sentences, one a line, for a classifier");
  command.add_option("--src", read.files.source, "sources for a model that translates");
  command.add_option("--ref", read.files.reference,
                     "and their translations; without them the model translates by itself");
  add_label_options(command, read.files.labels);
  command.add_option("--tag", read.tag, "target-language tag put before each source line, as <2de>");
  command.add_option("--lines", read.files.most_lines, "most lines that are read")
      ->check(CLI::Range(uint64_t{1}, uint64_t{1'000'000'000}).description(""))
      ->capture_default_str();
}

void run_over(const ReadFiles& read, const MeasuredRun& run, Console& console) {
  const config::ModelConfig& config = run.bundle.weights->config;
  check_read_files(read, config);
  const runtime::Transformer model(run.bundle.weights, run.dispatch, run.measured);
  const runtime::BatchedSearch search;
  ThreadPool pool(1);
  const LossTools tools{run.bundle, model, search, pool};
  Progress progress({.label = run.label, .unit = "lines"}, console);
  const auto advanced = [&](int64_t lines) { progress.advance(lines); };
  if (!read.files.labels.path.empty()) {
    label_loss(tools, read.files, advanced);
  } else if (config::is_classifier(config)) {
    classify_text(tools, read.files, advanced);
  } else if (!read.files.text.empty()) {
    text_loss(tools, read.files, 0, advanced);
  } else if (read.files.reference.empty()) {
    translate_sources(tools, read, progress);
  } else {
    read_pairs(tools, read, progress);
  }
}

}  // namespace megin::cli
