// megin analyze slimming: what a model is worth, and what it costs, with fewer experts a token
// (self-slimming: Chen et al. 2023), and how many of them a budget of time allows.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "base/clock.h"
#include "base/error.h"
#include "base/human_text.h"
#include "base/processors.h"
#include "base/progress.h"
#include "cli/analysis.h"
#include "cli/decoding_options.h"
#include "cli/test_files.h"
#include "config/dispatch.h"
#include "report/line_chart.h"
#include "report/table.h"
#include "store/model_size.h"
#include "text/vocabulary.h"

namespace megin::cli {
namespace {

// With k experts a token.
struct Slimmed {
  int64_t active = 0;
  FileLoss loss;
  double flops = 0;                  // of a target token
  double mebibytes = 0;              // of the weights that a token meets
  std::vector<double> milliseconds;  // of a target token, one sentence at a time; in each repeat
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// "20ms" or "0.5s", in milliseconds.
double parse_budget(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const std::string unit(end, text.data() + text.size());
  if (error != std::errc() || value <= 0 || (unit != "ms" && unit != "s")) {
    fail_usage("--budget: wanted a time for a token, as 20ms or 0.5s; found '{}'", text);
  }
  return unit == "s" ? 1000 * value : value;
}

// 1, 2, 4 ... and all.
std::vector<int64_t> numbers_of_experts(int64_t count) {
  std::vector<int64_t> numbers;
  for (int64_t k = 1; k < count; k *= 2) numbers.push_back(k);
  numbers.push_back(count);
  return numbers;
}

runtime::Transformer with_experts(const runtime::ModelBundle& bundle, int64_t active) {
  return {bundle.weights,
          {.mode = config::DispatchMode::kRouter, .seed = 1, .path = {}, .active = active, .gate = {}}};
}

// What decoding is timed on: the first line with something in it, or the beginning of a text.
struct Sample {
  search::Source source;
  std::vector<int32_t> tokens;  // fed one by one
};

Sample read_sample(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                   const runtime::LineEncoder& encoder) {
  constexpr size_t kMostTokens = 64;
  const auto most = std::min(kMostTokens, static_cast<size_t>(bundle.weights->config.max_length));
  Sample sample{.source = {}, .tokens = {text::kEndId}};
  const auto add = [&](const std::string& line) {
    for (const int32_t token : bundle.target.encode(line)) sample.tokens.push_back(token);
    sample.tokens.push_back(text::kEndId);
  };
  if (!options.files.text.empty()) {
    text::LineReader lines(options.files.text);
    for (std::string line; sample.tokens.size() < most && lines.next(line);) add(line);
  } else {
    PairReader reader(options.files);
    TestPairs pairs;
    reader.next(pairs);
    for (size_t i = 0; i < pairs.sources.size() && sample.tokens.size() < 2; ++i) {
      sample.source = {};
      if (encoder.encode(pairs.sources[i].text, i, sample.source) == runtime::Encoding::kWhole) {
        add(pairs.references[i]);
      }
    }
  }
  if (sample.tokens.size() < 2) fail("the files hold nothing to measure on");
  sample.tokens.resize(std::min(sample.tokens.size(), most));
  return sample;
}

double milliseconds_of_token(const runtime::Transformer& model, const Sample& sample) {
  const auto state = model.begin({&sample.source, 1}, 1);
  std::vector<float> log_probs(static_cast<size_t>(model.vocabulary()));
  const double start = system_clock().steady_seconds();
  for (const int32_t token : sample.tokens) model.step(*state, {&token, 1}, log_probs);
  return 1000 * (system_clock().steady_seconds() - start) / static_cast<double>(sample.tokens.size());
}

FileLoss loss_over(const TestFiles& files, const LossTools& tools, const runtime::LineEncoder& encoder,
                   Progress& progress) {
  if (!files.text.empty())
    return text_loss(tools, files.text, 0, [&](int64_t lines) { progress.advance(lines); });
  FileLoss loss;
  PairReader reader(files);
  TestPairs pairs;
  for (bool more = true; more;) {
    more = reader.next(pairs);
    add_pair_loss(tools, encoder, files.reference, pairs, loss);
    progress.advance(static_cast<int64_t>(pairs.sources.size()));
  }
  return loss;
}

std::vector<Slimmed> measure(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                             Console& console) {
  const config::ModelConfig& config = bundle.weights->config;
  ThreadPool pool(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors());
  const runtime::BatchedSearch search;
  const runtime::LineEncoder encoder(bundle.source,
                                     {.max_tokens = config.max_length,
                                      .tag = options.tag,
                                      .warn = [](const std::string& text) { spdlog::warn(text); }});
  const Sample sample = read_sample(options, bundle, encoder);
  Progress progress({.label = "slimming", .unit = "lines"}, console);
  std::vector<Slimmed> all;
  for (const int64_t active : numbers_of_experts(config.experts.count)) {
    const runtime::Transformer model = with_experts(bundle, active);
    all.push_back({.active = active,
                   .loss = loss_over(options.files, {bundle, model, search, pool}, encoder, progress),
                   .flops = store::count_token_flops(config, active, 0).target,
                   .mebibytes = static_cast<double>(store::count_active_parameters(config, active).total()) *
                                sizeof(float) / (1 << 20),
                   .milliseconds = {}});
  }
  // Repeats go around all of them, so that what else the machine does meets all alike.
  constexpr int kRepeats = 11;
  for (int repeat = -1; repeat < kRepeats; ++repeat) {  // the first one packs the weights
    for (Slimmed& of : all) {
      const double found = milliseconds_of_token(with_experts(bundle, of.active), sample);
      if (repeat >= 0) of.milliseconds.push_back(found);
    }
  }
  return all;
}

// The largest number that a budget allows; none: not even one expert.
std::optional<int64_t> largest_within(double budget, const std::vector<Slimmed>& all) {
  std::optional<int64_t> found;
  for (const Slimmed& of : all) {
    if (median(of.milliseconds) <= budget) found = of.active;
  }
  return found;
}

std::string picture(const std::vector<Slimmed>& all, const std::string& name) {
  report::LineChart chart{
      .title = "Loss by cost",
      .subtitle = name + ": from 1 to " + std::to_string(all.back().active) + " experts a token",
      .x_label = "time of a target token, ms",
      .y_label = "loss, nats a token",
      .series = {{.name = "experts a token", .points = {}}}};
  for (const Slimmed& of : all) {
    chart.series[0].points.push_back({median(of.milliseconds), of.loss.loss.per_token()});
  }
  std::ranges::sort(chart.series[0].points, {}, &report::Point::x);
  return line_chart_svg(chart);
}

nlohmann::ordered_json to_json(const Slimmed& of) {
  nlohmann::ordered_json json = {
      {"k", of.active}, {"loss", of.loss.loss.per_token()}, {"perplexity", of.loss.loss.perplexity()}};
  if (of.loss.bytes > 0) json["bits_per_byte"] = of.loss.bits_per_byte();
  json.update({{"flops_per_target_token", of.flops},
               {"active_weights_mib", of.mebibytes},
               {"milliseconds_per_token", median(of.milliseconds)}});
  return json;
}

std::string table_text(const std::vector<Slimmed>& all, bool of_text) {
  using report::Align;
  std::vector<report::Column> columns = {
      {"k", Align::kRight}, {"loss", Align::kRight}, {"perplexity", Align::kRight}};
  if (of_text) columns.push_back({"bits a byte", Align::kRight});
  for (const char* name : {"MFLOP a token", "of all", "weights, MiB", "ms a token", "of all"}) {
    columns.push_back({name, Align::kRight});
  }
  report::Table table(columns);
  const Slimmed& last = all.back();
  for (const Slimmed& of : all) {
    std::vector<std::string> row = {fmt::format("{}", of.active),
                                    fmt::format("{:.4f}", of.loss.loss.per_token()),
                                    fmt::format("{:.3f}", of.loss.loss.perplexity())};
    if (of_text) row.push_back(fmt::format("{:.4f}", of.loss.bits_per_byte()));
    row.insert(row.end(),
               {fmt::format("{:.2f}", of.flops / 1e6), fmt::format("{:.2f}", of.flops / last.flops),
                fmt::format("{:.1f}", of.mebibytes), fmt::format("{:.3f}", median(of.milliseconds)),
                fmt::format("{:.2f}", median(of.milliseconds) / median(last.milliseconds))});
    table.add_row(std::move(row));
  }
  return table.text();
}

}  // namespace

void analyze_slimming(const AnalysisOptions& options, CommandContext& context) {
  const double budget = options.budget.empty() ? 0 : parse_budget(options.budget);
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
  const std::vector<Slimmed> all = measure(options, bundle, context.console);
  if (!options.svg.empty()) write_output(options.svg, picture(all, options.paths[0]), context);
  if (!options.csv.empty()) {
    std::string csv =
        "k,loss,perplexity,bits_per_byte,flops_per_target_token,active_weights_mib,milliseconds_per_token\n";
    for (const Slimmed& of : all) {
      const bool of_text = of.loss.bytes > 0;
      csv += fmt::format("{},{:.6f},{:.6f},{},{:.0f},{:.3f},{:.4f}\n", of.active, of.loss.loss.per_token(),
                         of.loss.loss.perplexity(),
                         of_text ? fmt::format("{:.6f}", of.loss.bits_per_byte()) : "", of.flops,
                         of.mebibytes, median(of.milliseconds));
    }
    write_output(options.csv, csv, context);
  }
  const std::optional<int64_t> within = budget > 0 ? largest_within(budget, all) : std::nullopt;
  if (context.json) {
    nlohmann::ordered_json result = {{"model", options.paths[0]},
                                     {"left_out", all[0].loss.left_out},
                                     {"results", nlohmann::ordered_json::array()}};
    for (const Slimmed& of : all) result["results"].push_back(to_json(of));
    if (budget > 0) {
      result["budget_ms"] = budget;
      result["k"] = within ? nlohmann::ordered_json(*within) : nlohmann::ordered_json(nullptr);
    }
    context.out << result.dump() << "\n";
  } else {
    context.out << table_text(all, !options.files.text.empty())
                << "\nTime: decoding the files' first tokens, one sentence on one thread; the median of 11 "
                   "runs in turns.\n";
    if (all[0].loss.left_out > 0) {
      context.out << fmt::format("{} pairs with an empty side are left out of the loss\n",
                                 all[0].loss.left_out);
    }
    if (within) context.out << fmt::format("Within {}: --experts k={}\n", options.budget, *within);
  }
  if (budget > 0 && !within) {
    fail("no number of experts decodes a token within {}; one expert takes {:.3f} ms", options.budget,
         median(all.front().milliseconds));
  }
}

}  // namespace megin::cli
