#include "cli/label_evaluation.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <ostream>

#include "base/clock.h"
#include "base/error.h"
#include "base/progress.h"
#include "cli/label_loss.h"
#include "report/spread.h"

namespace megin::cli {
namespace {

// One pass over the file.
struct LabelEvaluation {
  uint64_t seed = 0;
  std::string experts;          // how they were chosen
  metric::Accuracy found = {};  // classes that are right
  metric::LogLoss loss = {};    // of the labels; its tokens are sentences
  double seconds = 0;
};

LabelEvaluation evaluate(const LossTools& tools, const TestFiles& files, Progress& progress) {
  const double start = system_clock().steady_seconds();
  const FileLoss of = label_loss(tools, files, [&](int64_t lines) { progress.advance(lines); });
  const config::Dispatch& dispatch = tools.model.dispatch();
  return {.seed = dispatch.seed,
          .experts = describe(dispatch),
          .found = of.found,
          .loss = of.loss,
          .seconds = system_clock().steady_seconds() - start};
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

void evaluate_labels(const DecodingOptions& options, const TestFiles& files, int64_t seeds,
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
      runs.push_back(evaluate({bundle, model, options.search, pool}, files, progress));
    }
  }
  if (context.json) {
    context.out << to_json(options, runs).dump() << "\n";
  } else {
    print(runs, context.out);
  }
}

}  // namespace megin::cli
