// megin analyze slimming: what a model is worth, and what it costs, with fewer experts a token
// (self-slimming: Chen et al. 2023), and how many of them a budget of time allows.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>
#include <utility>

#include "base/error.h"
#include "base/human_text.h"
#include "base/processors.h"
#include "cli/analysis.h"
#include "cli/decoding_options.h"
#include "cli/slimming.h"
#include "report/line_chart.h"
#include "report/table.h"
#include "store/model_size.h"

namespace megin::cli {
namespace {

// With k experts a token.
struct Slimmed {
  int64_t active = 0;
  FileLoss loss;
  std::optional<FileLoss> unscaled;  // without the scales of a model that has some
  double flops = 0;                  // of a token (flops_of_token)
  double mebibytes = 0;              // of the weights that a token meets
  std::vector<double> milliseconds;  // of a target token, one sentence at a time; in each repeat

  bool of_classes() const { return loss.found.all > 0; }
  bool of_bytes() const { return loss.bytes > 0; }
};

std::vector<Slimmed> measure(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                             Console& console) {
  const config::ModelConfig& config = bundle.weights->config;
  ThreadPool pool(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors());
  const runtime::BatchedSearch search;
  const runtime::LineEncoder encoder = line_encoder(options, bundle);
  const Sample sample = read_sample(options, bundle, encoder);
  Progress progress({.label = "slimming", .unit = "lines"}, console);
  std::vector<Slimmed> all;
  bool first = true;  // time that the lines are read, and warned of
  for (const int64_t active : numbers_of_experts(config.experts.count)) {
    const auto loss = [&](bool scaled) {
      const runtime::Transformer model = with_experts(bundle, {active}, scaled);
      LossTools tools{bundle, model, search, pool};
      if (!std::exchange(first, false)) tools.warn = [](const std::string&) {};
      return loss_over(options.files, tools, encoder, progress);
    };
    all.push_back({.active = active,
                   .loss = loss(true),
                   .unscaled = config.experts.scales ? std::optional(loss(false)) : std::nullopt,
                   .flops = flops_of_token(config, active),
                   .mebibytes = static_cast<double>(store::count_active_parameters(config, active).total()) *
                                sizeof(float) / (1 << 20),
                   .milliseconds = {}});
  }
  // Repeats go around all of them, so that what else the machine does meets all alike.
  constexpr int kRepeats = 11;
  for (int repeat = -1; repeat < kRepeats; ++repeat) {  // the first one packs the weights
    for (Slimmed& of : all) {
      const double found = milliseconds_of_token(with_experts(bundle, {of.active}), sample, Timed::kDecoding);
      if (repeat >= 0) of.milliseconds.push_back(found);
    }
  }
  return all;
}

// The largest number that a budget allows; none: not even one expert.
std::optional<int64_t> largest_within(const Budget& budget, const std::vector<Slimmed>& all) {
  std::optional<int64_t> found;
  for (const Slimmed& of : all) {
    const bool fits = budget.share > 0 ? of.flops <= budget.share * all.back().flops
                                       : median(of.milliseconds) <= budget.milliseconds;
    if (fits) found = of.active;
  }
  return found;
}

std::string picture(const std::vector<Slimmed>& all, const std::string& name) {
  const bool of_classes = all[0].of_classes();
  report::LineChart chart{
      .title = of_classes ? "Accuracy by cost" : "Loss by cost",
      .subtitle = name + ": from 1 to " + std::to_string(all.back().active) + " experts a token",
      .x_label = of_classes ? "time of a token, ms" : "time of a target token, ms",
      .y_label = of_classes ? "accuracy, %" : "loss, nats a token",
      .series = {{.name = "experts a token", .points = {}}}};
  for (const Slimmed& of : all) {
    chart.series[0].points.push_back(
        {median(of.milliseconds), of_classes ? 100 * of.loss.found.share() : of.loss.loss.per_token()});
  }
  std::ranges::sort(chart.series[0].points, {}, &report::Point::x);
  return line_chart_svg(chart);
}

nlohmann::ordered_json to_json(const Slimmed& of) {
  nlohmann::ordered_json json = {{"k", of.active}};
  if (of.of_classes()) {
    json.update({{"accuracy", of.loss.found.share()},
                 {"right", of.loss.found.right},
                 {"lines", of.loss.lines},
                 {"loss", of.loss.loss.per_token()}});
  } else {
    json.update({{"loss", of.loss.loss.per_token()}, {"perplexity", of.loss.loss.perplexity()}});
  }
  if (of.unscaled) json["loss_unscaled"] = of.unscaled->loss.per_token();
  if (of.unscaled && of.of_classes()) json["accuracy_unscaled"] = of.unscaled->found.share();
  if (of.of_bytes()) json["bits_per_byte"] = of.loss.bits_per_byte();
  json.update({{"flops_per_target_token", of.flops},
               {"active_weights_mib", of.mebibytes},
               {"milliseconds_per_token", median(of.milliseconds)}});
  return json;
}

std::string csv_text(const std::vector<Slimmed>& all) {
  std::string csv =
      "k,loss,perplexity,bits_per_byte,flops_per_target_token,active_weights_mib,milliseconds_per_token,"
      "loss_unscaled,accuracy\n";
  for (const Slimmed& of : all) {
    csv += fmt::format("{},{:.6f},{},{},{:.0f},{:.3f},{:.4f},{},{}\n", of.active, of.loss.loss.per_token(),
                       of.of_classes() ? "" : fmt::format("{:.6f}", of.loss.loss.perplexity()),
                       of.of_bytes() ? fmt::format("{:.6f}", of.loss.bits_per_byte()) : "", of.flops,
                       of.mebibytes, median(of.milliseconds),
                       of.unscaled ? fmt::format("{:.6f}", of.unscaled->loss.per_token()) : "",
                       of.of_classes() ? fmt::format("{:.6f}", of.loss.found.share()) : "");
  }
  return csv;
}

// What a row says of the model's worth.
std::vector<std::string> quality_names(const Slimmed& of) {
  std::vector<std::string> names;
  if (of.of_classes()) names.push_back("accuracy");
  names.push_back("loss");
  if (of.unscaled) names.push_back("unscaled");
  if (!of.of_classes()) names.push_back("perplexity");
  if (of.of_bytes()) names.push_back("bits a byte");
  return names;
}

std::vector<std::string> quality(const Slimmed& of) {
  std::vector<std::string> cells;
  if (of.of_classes()) cells.push_back(fmt::format("{:.2f} %", 100 * of.loss.found.share()));
  cells.push_back(fmt::format("{:.4f}", of.loss.loss.per_token()));
  if (of.unscaled) cells.push_back(fmt::format("{:.4f}", of.unscaled->loss.per_token()));
  if (!of.of_classes()) cells.push_back(fmt::format("{:.3f}", of.loss.loss.perplexity()));
  if (of.of_bytes()) cells.push_back(fmt::format("{:.4f}", of.loss.bits_per_byte()));
  return cells;
}

std::string table_text(const std::vector<Slimmed>& all) {
  using report::Align;
  std::vector<report::Column> columns = {{"k", Align::kRight}};
  for (const std::string& name : quality_names(all[0])) columns.push_back({name, Align::kRight});
  for (const char* name : {"MFLOP a token", "of all", "weights, MiB", "ms a token", "of all"}) {
    columns.push_back({name, Align::kRight});
  }
  report::Table table(columns);
  const Slimmed& last = all.back();
  for (const Slimmed& of : all) {
    std::vector<std::string> row = quality(of);
    row.insert(row.begin(), fmt::format("{}", of.active));
    row.insert(row.end(),
               {fmt::format("{:.2f}", of.flops / 1e6), fmt::format("{:.2f}", of.flops / last.flops),
                fmt::format("{:.1f}", of.mebibytes), fmt::format("{:.3f}", median(of.milliseconds)),
                fmt::format("{:.2f}", median(of.milliseconds) / median(last.milliseconds))});
    table.add_row(std::move(row));
  }
  return table.text();
}

void print(const AnalysisOptions& options, const std::vector<Slimmed>& all, std::optional<int64_t> within,
           std::ostream& out) {
  out << table_text(all);
  if (all[0].of_classes()) {
    out << fmt::format(
        "\nAccuracy and loss, in nats a sentence: over {} sentences. Time: reading the first of them, on one "
        "thread; the median of 11 runs in turns.\n",
        grouped(static_cast<int64_t>(all[0].loss.lines)));
  } else {
    out << "\nTime: decoding the files' first tokens, one sentence on one thread; the median of 11 runs in "
           "turns.\n";
  }
  if (all[0].loss.left_out > 0) {
    out << fmt::format("{} pairs with an empty side are left out of the loss\n", all[0].loss.left_out);
  }
  if (within) out << fmt::format("Within {}: --experts k={}\n", options.budget, *within);
}

nlohmann::ordered_json to_json(const AnalysisOptions& options, const Budget& budget,
                               const std::vector<Slimmed>& all, std::optional<int64_t> within) {
  nlohmann::ordered_json result = {{"model", options.paths[0]},
                                   {"left_out", all[0].loss.left_out},
                                   {"results", nlohmann::ordered_json::array()}};
  for (const Slimmed& of : all) result["results"].push_back(to_json(of));
  if (budget.milliseconds > 0) result["budget_ms"] = budget.milliseconds;
  if (budget.share > 0) result["budget_share"] = budget.share;
  if (budget.given())
    result["k"] = within ? nlohmann::ordered_json(*within) : nlohmann::ordered_json(nullptr);
  return result;
}

}  // namespace

void analyze_slimming(const AnalysisOptions& options, CommandContext& context) {
  const Budget budget = parse_budget(options.budget);
  const runtime::ModelBundle bundle = runtime::open_model(options.paths[0]);
  const config::ModelConfig& config = bundle.weights->config;
  if (config.experts.count == 1 || !config::is_elastic(config.experts.router)) {
    fail_usage(
        "{}: wanted a model whose tokens may meet any number of experts (smoe_dropout, top_k, switch, or "
        "one that megin convert made)",
        options.paths[0]);
  }
  check_files(options.files, config);
  DecodingOptions decoding;
  decoding.tag = options.tag;
  warn_about_tags(bundle, decoding);
  if (options.per_layer) return slim_by_layer(options, bundle, context);
  const std::vector<Slimmed> all = measure(options, bundle, context.console);
  if (!options.svg.empty()) write_output(options.svg, picture(all, options.paths[0]), context);
  if (!options.csv.empty()) write_output(options.csv, csv_text(all), context);
  const std::optional<int64_t> within = budget.given() ? largest_within(budget, all) : std::nullopt;
  if (context.json) {
    context.out << to_json(options, budget, all, within).dump() << "\n";
  } else {
    print(options, all, within, context.out);
  }
  if (budget.given() && !within) {
    fail("no number of experts keeps a token within {}; with one it takes {:.3f} ms and {:.0f}% of the FLOPs",
         options.budget, median(all.front().milliseconds), 100 * all.front().flops / all.back().flops);
  }
}

}  // namespace megin::cli
