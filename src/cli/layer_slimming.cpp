// megin analyze slimming --per-layer: how many experts each expert layer needs within a budget (smoe_dropout
// spec 7.3 and 7.4), by a greedy search on a bounded piece of the files.
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/error.h"
#include "base/processors.h"
#include "cli/layer_numbers.h"
#include "cli/slimming.h"
#include "report/table.h"

namespace megin::cli {
namespace {

std::string experts_option(const LayerNumbers& step) {
  return fmt::format("k={}", fmt::join(step.active, ","));
}

constexpr uint64_t kLines = 200;  // that losses are over, if not given

// A step of the search with its time.
struct TimedStep {
  LayerNumbers numbers;
  metric::Accuracy found;  // of a classifier
  double milliseconds = 0;
};

class LayerSlimming {
 public:
  LayerSlimming(const AnalysisOptions& options, const runtime::ModelBundle& bundle, Console& console)
      : budget_(parse_budget(options.budget)),
        bundle_(bundle),
        files_(options.files),
        encoder_(line_encoder(options, bundle)),
        sample_(read_sample(options, bundle, encoder_)),
        pool_(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors()),
        progress_({.label = "slimming", .unit = "lines"}, console) {
    files_.most_lines = options.lines.value_or(kLines);
  }

  std::vector<TimedStep> run() {
    const config::ModelConfig& config = bundle_.weights->config;
    const std::vector<int64_t> numbers = numbers_of_experts(config.experts.count);
    lower_layer_by_layer({.layers = config::count_expert_layers(config),
                          .numbers = numbers,
                          .loss = [this](const auto& active) { return loss(active); },
                          .cost = [&](const auto& active) { return flops_of_token(config, active); },
                          .fits = [this](const LayerNumbers& step) { return take(step); }});
    return std::move(steps_);
  }

  bool fits(const TimedStep& step) const {
    if (budget_.share > 0) return step.numbers.cost <= budget_.share * steps_first_cost_;
    return budget_.milliseconds > 0 && step.milliseconds <= budget_.milliseconds;
  }

 private:
  bool take(const LayerNumbers& numbers) {
    if (steps_.empty()) steps_first_cost_ = numbers.cost;
    steps_.push_back(
        {.numbers = numbers, .found = found_[numbers.active], .milliseconds = milliseconds(numbers.active)});
    return fits(steps_.back());
  }

  double loss(const std::vector<int64_t>& active) {
    const runtime::Transformer model = with_experts(bundle_, active);
    LossTools tools{bundle_, model, search_, pool_};
    if (!found_.empty()) tools.warn = [](const std::string&) {};  // the lines were read and warned of before
    const FileLoss of = loss_over(files_, tools, encoder_, progress_);
    found_[active] = of.found;
    return of.loss.per_token();
  }

  double milliseconds(const std::vector<int64_t>& active) const {
    constexpr int kRepeats = 11;
    const runtime::Transformer model = with_experts(bundle_, active);
    std::vector<double> found;
    milliseconds_of_token(model, sample_);  // the first one packs the weights
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
      found.push_back(milliseconds_of_token(model, sample_));
    }
    return median(found);
  }

  Budget budget_;
  const runtime::ModelBundle& bundle_;
  TestFiles files_;
  runtime::LineEncoder encoder_;
  Sample sample_;
  ThreadPool pool_;
  runtime::BatchedSearch search_;
  Progress progress_;
  std::map<std::vector<int64_t>, metric::Accuracy> found_;  // of all that was measured
  std::vector<TimedStep> steps_;
  double steps_first_cost_ = 0;
};

nlohmann::ordered_json to_json(const TimedStep& step) {
  nlohmann::ordered_json json = {
      {"experts", experts_option(step.numbers)}, {"k", step.numbers.active}, {"loss", step.numbers.loss}};
  if (step.found.all > 0) json["accuracy"] = step.found.share();
  json.update({{"flops_per_token", step.numbers.cost}, {"milliseconds_per_token", step.milliseconds}});
  return json;
}

// By FLOPs, which tell apart what steps of one layer cost; their times are too alike.
std::string picture(const std::vector<TimedStep>& steps, const std::string& name) {
  const bool of_classes = steps[0].found.all > 0;
  std::vector<report::Point> points;
  for (const TimedStep& step : steps) {
    points.push_back({step.numbers.cost / 1e6, of_classes ? 100 * step.found.share() : step.numbers.loss});
  }
  return cost_picture(
      {.subtitle = fmt::format("{}: experts layer by layer, from {} to {}", name,
                               experts_option(steps[0].numbers), experts_option(steps.back().numbers)),
       .cost = "MFLOP a token",
       .of_classes = of_classes},
      std::move(points));
}

std::string table_text(const std::vector<TimedStep>& steps) {
  using report::Align;
  const bool of_classes = steps[0].found.all > 0;
  std::vector<report::Column> columns = {{"--experts"}};
  if (of_classes) columns.push_back({"accuracy", Align::kRight});
  for (const char* name : {"loss", "MFLOP a token", "of all", "ms a token", "of all"}) {
    columns.push_back({name, Align::kRight});
  }
  report::Table table(columns);
  for (const TimedStep& step : steps) {
    std::vector<std::string> row = {experts_option(step.numbers)};
    if (of_classes) row.push_back(fmt::format("{:.2f} %", 100 * step.found.share()));
    row.insert(row.end(),
               {fmt::format("{:.4f}", step.numbers.loss), fmt::format("{:.2f}", step.numbers.cost / 1e6),
                fmt::format("{:.2f}", step.numbers.cost / steps[0].numbers.cost),
                fmt::format("{:.3f}", step.milliseconds),
                fmt::format("{:.2f}", step.milliseconds / steps[0].milliseconds)});
    table.add_row(std::move(row));
  }
  return table.text();
}

}  // namespace

void slim_by_layer(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                   CommandContext& context) {
  LayerSlimming slimming(options, bundle, context.console);
  const std::vector<TimedStep> steps = slimming.run();
  const bool within = slimming.fits(steps.back());
  if (!options.svg.empty()) write_output(options.svg, picture(steps, options.paths[0]), context);
  if (!options.csv.empty()) {
    std::string csv = "experts,loss,flops_per_token,milliseconds_per_token,accuracy\n";
    for (const TimedStep& step : steps) {
      csv += fmt::format("\"{}\",{:.6f},{:.0f},{:.4f},{}\n", experts_option(step.numbers), step.numbers.loss,
                         step.numbers.cost, step.milliseconds,
                         step.found.all > 0 ? fmt::format("{:.6f}", step.found.share()) : "");
    }
    write_output(options.csv, csv, context);
  }
  if (context.json) {
    nlohmann::ordered_json result = {{"model", options.paths[0]}, {"steps", nlohmann::ordered_json::array()}};
    for (const TimedStep& step : steps) result["steps"].push_back(to_json(step));
    add_memory(memory_use(bundle.weights->config), result);
    if (!options.budget.empty()) {
      result["budget"] = options.budget;
      result["experts"] = within ? nlohmann::ordered_json(experts_option(steps.back().numbers))
                                 : nlohmann::ordered_json(nullptr);
    }
    context.out << result.dump() << "\n";
  } else {
    context.out << table_text(steps)
                << fmt::format("\nLoss: over the first {} lines. {}", options.lines.value_or(kLines),
                               cost_note(bundle.weights->config))
                << memory_note(memory_use(bundle.weights->config));
    if (within) {
      context.out << fmt::format("Within {}: --experts {}\n", options.budget,
                                 experts_option(steps.back().numbers));
    }
  }
  if (!options.budget.empty() && !within) {
    fail(
        "no numbers of experts keep a token within {}; with one in every layer it takes {:.3f} ms and "
        "{:.0f}% of "
        "the FLOPs",
        options.budget, steps.back().milliseconds, 100 * steps.back().numbers.cost / steps[0].numbers.cost);
  }
}

}  // namespace megin::cli
