#include "cli/label_evaluation.h"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "data/class_labels.h"
#include "report/spread.h"
#include "runtime/classifier.h"
#include "text/plain_readers.h"

namespace megin::cli {
namespace {

constexpr size_t kWindowLines = 2000;

// A part of the file.
struct Window {
  std::vector<std::string> sentences;
  std::vector<int32_t> labels;
};

// False when it is the last one.
bool next(text::PairReader& reader, const std::vector<std::string>& classes, Window& window) {
  window = {};
  for (text::Pair pair; window.sentences.size() < kWindowLines;) {
    if (!reader.next(pair)) return false;
    window.labels.push_back(data::class_of(pair.target, classes, reader.where()));
    window.sentences.push_back(pair.source);
  }
  return true;
}

void add(const Window& window, const std::vector<runtime::ClassScores>& scores, LabelEvaluation& result) {
  for (size_t i = 0; i < scores.size(); ++i) {
    const int32_t label = window.labels[i];
    result.found += {.right = scores[i].likeliest() == label ? 1U : 0U, .all = 1};
    result.loss += {.nats = -scores[i].log_probabilities[static_cast<size_t>(label)], .tokens = 1};
  }
}

LabelEvaluation evaluate(const runtime::ModelBundle& bundle, const runtime::Transformer& model,
                         const DecodingOptions& options, const LabelFile& file, ThreadPool& pool,
                         Progress& progress) {
  LabelEvaluation result{.seed = model.dispatch().seed, .experts = describe(model.dispatch())};
  const double start = system_clock().steady_seconds();
  const runtime::Classifier classifier(
      model, bundle.target,
      {.batch_tokens = options.search.batch_tokens,
       .warn = [&](const std::string& text) { spdlog::warn("{}: {}", file.path, text); }});
  const auto reader = text::open_tsv(
      file.path, {.columns = {file.sentence_column, file.label_column}, .header = file.header});
  Window window;
  for (bool more = true; more;) {
    more = next(*reader, bundle.directory->description.classes, window);
    add(window, classifier.classify(window.sentences, result.found.all, pool), result);
    progress.advance(static_cast<int64_t>(window.sentences.size()));
  }
  if (result.found.all == 0) fail("{}: wanted sentences with labels, found none", file.path);
  result.seconds = system_clock().steady_seconds() - start;
  return result;
}

// Of each run.
std::vector<double> losses(const std::vector<LabelEvaluation>& runs) {
  std::vector<double> values;
  for (const LabelEvaluation& run : runs) values.push_back(run.loss.per_token());
  return values;
}
std::vector<double> shares(const std::vector<LabelEvaluation>& runs) {
  std::vector<double> values;
  for (const LabelEvaluation& run : runs) values.push_back(run.found.share());
  return values;
}

nlohmann::ordered_json to_json(const DecodingOptions& options, const std::vector<LabelEvaluation>& runs) {
  nlohmann::ordered_json json = {
      {"model", options.model}, {"experts", runs[0].experts}, {"lines", runs[0].found.all}};
  for (const LabelEvaluation& run : runs) {
    const metric::Interval interval = run.found.wilson();
    json["runs"].push_back({{"seed", run.seed},
                            {"loss", run.loss.per_token()},
                            {"accuracy", run.found.share()},
                            {"right", run.found.right},
                            {"interval", {interval.low, interval.high}},
                            {"seconds", run.seconds}});
  }
  const report::Spread accuracy = report::spread_of(shares(runs)), loss = report::spread_of(losses(runs));
  json["accuracy"] = {{"mean", accuracy.mean}, {"variance", accuracy.variance}};
  json["loss"] = {{"mean", loss.mean}, {"variance", loss.variance}};
  return json;
}

void print(const std::vector<LabelEvaluation>& runs, std::ostream& out) {
  for (const LabelEvaluation& run : runs) {
    const metric::Interval interval = run.found.wilson();
    if (runs.size() > 1) out << fmt::format("seed {}\n", run.seed);
    out << fmt::format("accuracy {:.2f} % ({} of {}; 95 % interval {:.2f} to {:.2f})\n",
                       100 * run.found.share(), run.found.right, run.found.all, 100 * interval.low,
                       100 * interval.high);
    out << fmt::format("loss {:.4f} nats a sentence (experts: {})\n", run.loss.per_token(), run.experts);
  }
  if (runs.size() == 1) return;
  const report::Spread accuracy = report::spread_of(shares(runs)), loss = report::spread_of(losses(runs));
  out << fmt::format(
      "over {} seeds\naccuracy mean {:.6f}  variance {:.8f}\nloss     mean {:.4f}  variance {:.6f}\n",
      runs.size(), accuracy.mean, accuracy.variance, loss.mean, loss.variance);
}

}  // namespace

void add_label_options(CLI::App& command, LabelFile& file) {
  command.add_option("--labels", file.path,
                     "sentences with their labels for a classifier, a TSV file; also .gz or .zst");
  command
      .add_option("--sentence-column", file.sentence_column,
                  "of --labels: its number from 1, or its name in the first line")
      ->capture_default_str();
  command.add_option("--label-column", file.label_column, "the same")->capture_default_str();
  command.add_flag("--header", file.header, "of --labels: the first line is none of them; names say so, too");
}

void evaluate_labels(const DecodingOptions& options, const LabelFile& file, int64_t seeds,
                     CommandContext& context) {
  const runtime::ModelBundle bundle = runtime::open_model(options.model);
  if (!config::is_classifier(bundle.weights->config)) {
    fail_usage("--labels: wanted a classifier, found a model that tells no classes");
  }
  ThreadPool pool(thread_count(options));
  std::vector<LabelEvaluation> runs;
  {
    Progress progress({.label = "evaluate", .unit = "lines"}, context.console);
    for (int64_t i = 0; i < seeds; ++i) {
      const auto model = serving_model(bundle, options, static_cast<uint64_t>(i));
      runs.push_back(evaluate(bundle, model, options, file, pool, progress));
    }
  }
  if (context.json) {
    context.out << to_json(options, runs).dump() << "\n";
  } else {
    print(runs, context.out);
  }
}

}  // namespace megin::cli
