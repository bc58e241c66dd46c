// megin analyze slimming: what a model is worth, and what it costs, with fewer experts a token
// (self-slimming: Chen et al. 2023), and how many of them a budget of time allows.
#include <fmt/format.h>

#include <algorithm>
#include <map>
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
  double milliseconds = 0;           // of a token (milliseconds_of_token)

  bool of_classes() const { return loss.found.all > 0; }
  bool of_bytes() const { return loss.bytes > 0; }
};

// All that is measured: 1, 2, 4 ... and all experts, and the number that a budget allows.
struct Slimming {
  std::vector<Slimmed> all;       // ascending
  std::optional<int64_t> within;  // none: not even one expert, or no budget
};

class Measuring {
 public:
  Measuring(const AnalysisOptions& options, const runtime::ModelBundle& bundle, Console& console)
      : bundle_(bundle),
        config_(bundle.weights->config),
        files_(options.files),
        encoder_(line_encoder(options, bundle)),
        sample_(read_sample(options, bundle, encoder_)),
        pool_(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors()),
        progress_({.label = "slimming", .unit = "lines"}, console) {}

  Slimming run(const Budget& budget) {
    Slimming result;
    const int64_t count = config_.experts.count;
    std::vector<int64_t> numbers = numbers_of_experts(count);
    if (budget.share > 0) {  // arithmetic, so that all numbers can be looked at
      const double most = budget.share * flops(count);
      result.within = largest_fitting(count, [&](int64_t active) { return flops(active) <= most; });
    }
    time(numbers);
    if (budget.milliseconds > 0) {
      result.within = largest_fitting(count, [&](int64_t active) {
        if (!milliseconds_.contains(active)) time({active});
        return median(milliseconds_[active]) <= budget.milliseconds;
      });
    }
    if (result.within && std::ranges::find(numbers, *result.within) == numbers.end()) {
      numbers.insert(std::ranges::lower_bound(numbers, *result.within), *result.within);
      if (!milliseconds_.contains(*result.within)) time({*result.within});
    }
    for (const int64_t active : numbers) result.all.push_back(measure(active));
    return result;
  }

 private:
  double flops(int64_t active) const { return flops_of_token(config_, {&active, 1}); }

  // Repeats go around all of them, so that what else the machine does meets all alike.
  void time(const std::vector<int64_t>& numbers) {
    constexpr int kRepeats = 11;
    for (int repeat = -1; repeat < kRepeats; ++repeat) {  // the first one packs the weights
      for (const int64_t active : numbers) {
        const double found = milliseconds_of_token(with_experts(bundle_, {active}), sample_);
        if (repeat >= 0) milliseconds_[active].push_back(found);
      }
    }
  }

  FileLoss loss(int64_t active, bool scaled) {
    const runtime::Transformer model = with_experts(bundle_, {active}, scaled);
    LossTools tools{bundle_, model, search_, pool_};
    if (std::exchange(warned_, true)) tools.warn = [](const std::string&) {};
    return loss_over(files_, tools, encoder_, progress_);
  }

  Slimmed measure(int64_t active) {
    return {.active = active,
            .loss = loss(active, true),
            .unscaled = config_.experts.scales ? std::optional(loss(active, false)) : std::nullopt,
            .flops = flops(active),
            .mebibytes = static_cast<double>(store::count_active_parameters(config_, active).total()) *
                         sizeof(float) / (1 << 20),
            .milliseconds = median(milliseconds_[active])};
  }

  const runtime::ModelBundle& bundle_;
  const config::ModelConfig& config_;
  const TestFiles& files_;
  runtime::LineEncoder encoder_;
  Sample sample_;
  ThreadPool pool_;
  runtime::BatchedSearch search_;
  Progress progress_;
  std::map<int64_t, std::vector<double>> milliseconds_;  // by the number of experts, of each repeat
  bool warned_ = false;                                  // of lines, which are read again and again
};

std::string picture(const std::vector<Slimmed>& all, const std::string& name) {
  const bool of_classes = all[0].of_classes();
  std::vector<report::Point> points;
  for (const Slimmed& of : all) {
    points.push_back({of.milliseconds, of_classes ? 100 * of.loss.found.share() : of.loss.loss.per_token()});
  }
  return cost_picture({.subtitle = fmt::format("{}: from 1 to {} experts a token", name, all.back().active),
                       .cost = "time of a token, ms",
                       .of_classes = of_classes},
                      std::move(points));
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
  json.update({{"flops_per_token", of.flops},
               {"active_weights_mib", of.mebibytes},
               {"milliseconds_per_token", of.milliseconds}});
  return json;
}

std::string csv_text(const std::vector<Slimmed>& all) {
  std::string csv =
      "k,loss,perplexity,bits_per_byte,flops_per_token,active_weights_mib,milliseconds_per_token,"
      "loss_unscaled,accuracy\n";
  for (const Slimmed& of : all) {
    csv += fmt::format("{},{:.6f},{},{},{:.0f},{:.3f},{:.4f},{},{}\n", of.active, of.loss.loss.per_token(),
                       of.of_classes() ? "" : fmt::format("{:.6f}", of.loss.loss.perplexity()),
                       of.of_bytes() ? fmt::format("{:.6f}", of.loss.bits_per_byte()) : "", of.flops,
                       of.mebibytes, of.milliseconds,
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
  for (const char* name : {"MFLOP a token", "of all", "weights a token meets, MiB", "ms a token", "of all"}) {
    columns.push_back({name, Align::kRight});
  }
  report::Table table(columns);
  const Slimmed& last = all.back();
  for (const Slimmed& of : all) {
    std::vector<std::string> row = quality(of);
    row.insert(row.begin(), fmt::format("{}", of.active));
    row.insert(row.end(),
               {fmt::format("{:.2f}", of.flops / 1e6), fmt::format("{:.2f}", of.flops / last.flops),
                fmt::format("{:.1f}", of.mebibytes), fmt::format("{:.3f}", of.milliseconds),
                fmt::format("{:.2f}", of.milliseconds / last.milliseconds)});
    table.add_row(std::move(row));
  }
  return table.text();
}

void print(const AnalysisOptions& options, const config::ModelConfig& config, const Slimming& found,
           std::ostream& out) {
  const FileLoss& of = found.all[0].loss;
  out << table_text(found.all) << "\n";
  if (of.found.all > 0) {
    out << fmt::format("Accuracy, and loss in nats a sentence: of {} sentences. ",
                       grouped(static_cast<int64_t>(of.lines)));
  }
  out << cost_note(config) << memory_note(memory_use(config));
  if (of.left_out > 0)
    out << fmt::format("{} pairs with an empty side are left out of the loss\n", of.left_out);
  if (found.within) out << fmt::format("Within {}: --experts k={}\n", options.budget, *found.within);
}

nlohmann::ordered_json to_json(const AnalysisOptions& options, const config::ModelConfig& config,
                               const Slimming& found) {
  const Budget budget = parse_budget(options.budget);
  nlohmann::ordered_json result = {{"model", options.paths[0]},
                                   {"left_out", found.all[0].loss.left_out},
                                   {"results", nlohmann::ordered_json::array()}};
  for (const Slimmed& of : found.all) result["results"].push_back(to_json(of));
  add_memory(memory_use(config), result);
  if (budget.milliseconds > 0) result["budget_ms"] = budget.milliseconds;
  if (budget.share > 0) result["budget_share"] = budget.share;
  if (budget.given())
    result["k"] = found.within ? nlohmann::ordered_json(*found.within) : nlohmann::ordered_json(nullptr);
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
  const Slimming found = Measuring(options, bundle, context.console).run(budget);
  const std::vector<Slimmed>& all = found.all;
  if (!options.svg.empty()) write_output(options.svg, picture(all, options.paths[0]), context);
  if (!options.csv.empty()) write_output(options.csv, csv_text(all), context);
  if (context.json) {
    context.out << to_json(options, config, found).dump() << "\n";
  } else {
    print(options, config, found, context.out);
  }
  if (budget.given() && !found.within) {
    fail("no number of experts keeps a token within {}; with one it takes {:.3f} ms and {:.0f}% of the FLOPs",
         options.budget, all.front().milliseconds, 100 * all.front().flops / all.back().flops);
  }
}

}  // namespace megin::cli
