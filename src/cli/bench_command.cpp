// megin bench: how fast this machine runs a kind of model. The weights are random: speed does not depend on
// them.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <ostream>

#include "base/clock.h"
#include "base/error.h"
#include "base/human_text.h"
#include "base/processors.h"
#include "base/progress.h"
#include "base/random.h"
#include "cli/command.h"
#include "config/enums.h"
#include "config/method.h"
#include "runtime/batched_search.h"
#include "runtime/random_weights.h"
#include "runtime/transformer.h"

namespace megin::cli {
namespace {

struct BenchOptions {
  std::string what = "decode";
  std::string preset = "tiny";
  std::vector<std::string> dispatches = {"auto"};
  std::string method = "thor", body = "replace";
  int64_t sublayers = 1, every = 2;
  int64_t feed_forward = 0, expert_feed_forward = 0;  // 0: the preset's, and as wide as that
  std::vector<int64_t> experts = {1, 2, 16, 64};
  std::vector<int64_t> batches = {1, 32};
  std::vector<int64_t> beams = {1, 5};
  int64_t vocabulary = 10000;
  int64_t length = 25;  // of sources on average, and of outputs
  int64_t sentences = 64;
  int64_t repeats = 5;
  int64_t threads = 1;
};

struct Model {
  int64_t experts = 1;
  std::shared_ptr<const runtime::Weights> weights;
};

// Target tokens a second of the clock, and of processor time (which other programs disturb less).
struct Rates {
  double by_clock = 0, by_processor = 0;
};

// One cell of the table: what is run, and its rates in each repeat.
struct Cell {
  const Model* model;
  std::string dispatch;
  int64_t batch = 1, beam = 1;
  std::vector<Rates> rates;
};

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

double median_rate(const Cell& cell, double Rates::*which) {
  std::vector<double> values;
  for (const Rates& rates : cell.rates) values.push_back(rates.*which);
  return median(values);
}

Model make_model(const BenchOptions& options, int64_t experts) {
  config::ModelConfig config;
  config::apply_model_preset(config, options.preset);
  config.source_vocabulary = config.target_vocabulary = options.vocabulary;
  const auto method = config::parse_enum<config::Method>(options.method, "--method");
  if (!config::traits_of(method).has_experts) {
    fail_usage("--method: wanted a method with experts; found '{}' (--expert-counts 1 is the dense model)",
               options.method);
  }
  config.experts = config::experts_of(config::traits_of(method), experts);
  config.experts.body = config::parse_enum<config::ExpertBody>(options.body, "--body");
  config.experts.sublayers = options.sublayers;
  config.experts.every = options.every;
  config.experts.feed_forward = options.expert_feed_forward;
  if (options.feed_forward > 0) config.feed_forward = options.feed_forward;
  config::check(config);
  auto weights = std::make_shared<const runtime::Weights>(config, runtime::random_weights(config, 1));
  // What is measured is a model that has served for a while.
  for (const runtime::StackWeights* stack : {&weights->encoder, &weights->decoder}) {
    for (const runtime::LayerWeights& layer : stack->layers) {
      for (int64_t e = 0; e < layer.experts->count(); ++e) (*layer.experts)[e];
      for (const runtime::ResidualSublayer& sublayer : layer.inserted) {
        for (int64_t e = 0; e < sublayer.experts->count(); ++e) (*sublayer.experts)[e];
      }
    }
  }
  return {experts, std::move(weights)};
}

// Sources of random tokens, of lengths between 1/2 and 3/2 of the average.
std::vector<search::Source> make_sources(const BenchOptions& options) {
  std::vector<search::Source> sources;
  for (int64_t s = 0; s < options.sentences; ++s) {
    const uint64_t key = draw_key(1, Purpose::kShuffle, {static_cast<uint64_t>(s)});
    const uint64_t length = static_cast<uint64_t>(options.length / 2) +
                            draw_index(key, 0, static_cast<uint64_t>(options.length) + 1);
    search::Source source{{}, static_cast<uint64_t>(s)};
    for (uint64_t t = 1; t < length; ++t) {
      source.tokens.push_back(
          static_cast<int32_t>(4 + draw_index(key, t, static_cast<uint64_t>(options.vocabulary - 4))));
    }
    source.tokens.push_back(2);
    sources.push_back(source);
  }
  return sources;
}

// Decodes the sources in groups of cell.batch sentences, side by side on the pool; the rate counts the best
// outputs.
Rates measure(const Cell& cell, const BenchOptions& options, std::span<const search::Source> sources,
              ThreadPool& pool) {
  const runtime::Transformer model(cell.model->weights, config::parse_dispatch(cell.dispatch, 1));
  search::SearchOptions search;
  search.beam = cell.beam;
  search.max_length_extra = options.length - 1;
  std::vector<std::function<void()>> tasks;
  const size_t group = static_cast<size_t>(cell.batch);
  std::vector<uint64_t> tokens((sources.size() + group - 1) / group);
  for (size_t i = 0; i < sources.size(); i += group) {
    tasks.emplace_back([&, i] {
      const auto some = sources.subspan(i, std::min(group, sources.size() - i));
      for (const auto& found : search::beam_search(model, some, search))
        tokens[i / group] += found[0].tokens.size();
    });
  }
  const double start = system_clock().steady_seconds(), start_cpu = process_usage().cpu_seconds;
  pool.run_tasks(tasks);
  const double seconds = system_clock().steady_seconds() - start;
  const double cpu_seconds = process_usage().cpu_seconds - start_cpu;
  double total = 0;
  for (const uint64_t n : tokens) total += static_cast<double>(n);
  return {total / seconds, total / cpu_seconds};
}

// All combinations; cells that differ only in experts and dispatch stand together.
std::vector<Cell> make_cells(const BenchOptions& options, std::span<const Model> models) {
  std::vector<Cell> cells;
  for (const int64_t batch : options.batches) {
    for (const int64_t beam : options.beams) {
      for (const Model& model : models) {
        for (const std::string& asked : options.dispatches) {
          const std::string dispatch = config::to_string(config::parse_dispatch_or_auto(
              asked, 1, model.weights->config, config::DispatchMode::kSentence));
          cells.push_back({.model = &model, .dispatch = dispatch, .batch = batch, .beam = beam, .rates = {}});
          if (model.experts == 1) break;  // all the same for a dense model
        }
      }
    }
  }
  return cells;
}

void run_cells(std::vector<Cell>& cells, const BenchOptions& options, CommandContext& context) {
  const auto sources = make_sources(options);
  ThreadPool pool(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors());
  Progress progress(
      {.label = "bench", .unit = "runs", .total = options.repeats * static_cast<int64_t>(cells.size())},
      context.console);
  // Repeats go around all cells, so that what else the machine does meets all alike.
  for (int64_t repeat = 0; repeat < options.repeats; ++repeat) {
    for (Cell& cell : cells) {
      cell.rates.push_back(measure(cell, options, sources, pool));
      progress.advance();
    }
  }
}

// Median over the repeats of a cell's rate by processor time, divided by that of `base`.
double ratio(const Cell& cell, const Cell& base) {
  std::vector<double> ratios;
  for (size_t r = 0; r < cell.rates.size(); ++r) {
    ratios.push_back(cell.rates[r].by_processor / base.rates[r].by_processor);
  }
  return median(ratios);
}

nlohmann::ordered_json to_json(const Cell& cell, const Cell& base) {
  return {{"experts", cell.model->experts},
          {"dispatch", cell.dispatch},
          {"batch", cell.batch},
          {"beam", cell.beam},
          {"tokens_per_second", median_rate(cell, &Rates::by_clock)},
          {"tokens_per_cpu_second", median_rate(cell, &Rates::by_processor)},
          {"ratio_to_first", ratio(cell, base)}};
}

std::string to_text(const Cell& cell, const Cell& base) {
  return fmt::format(
      "experts {:3}  {:8}  batch {:3}  beam {}  {:8.0f} tokens/s  {:8.0f} tokens/cpu s  {:.2f} of the "
      "first\n",
      cell.model->experts, cell.dispatch, cell.batch, cell.beam, median_rate(cell, &Rates::by_clock),
      median_rate(cell, &Rates::by_processor), ratio(cell, base));
}

void bench(const BenchOptions& options, CommandContext& context) {
  if (options.what != "decode") fail_usage("WHAT: wanted decode; found '{}'", options.what);
  if (options.vocabulary < 5 || options.length < 2 || options.sentences < 1 || options.repeats < 1) {
    fail_usage(
        "wanted a vocabulary of at least 5, a length of at least 2, and at least one sentence and repeat");
  }
  std::vector<Model> models;
  for (const int64_t experts : options.experts) models.push_back(make_model(options, experts));
  std::vector<Cell> cells = make_cells(options, models);
  run_cells(cells, options, context);

  nlohmann::ordered_json json = {{"bench", "decode"},
                                 {"method", options.method},
                                 {"body", options.body},
                                 {"sublayers", options.sublayers},
                                 {"every", options.every},
                                 {"feed_forward", options.feed_forward},
                                 {"expert_feed_forward", options.expert_feed_forward},
                                 {"preset", options.preset},
                                 {"vocabulary", options.vocabulary},
                                 {"length", options.length},
                                 {"sentences", options.sentences},
                                 {"threads", options.threads},
                                 {"repeats", options.repeats}};
  const Cell* base = nullptr;  // the first of the same batch and beam
  for (const Cell& cell : cells) {
    if (!base || base->batch != cell.batch || base->beam != cell.beam) base = &cell;
    json["results"].push_back(to_json(cell, *base));
    if (!context.json) context.out << to_text(cell, *base);
  }
  json["peak_memory_bytes"] = process_usage().peak_resident_bytes;
  if (context.json) context.out << json.dump() << "\n";
}

}  // namespace

void add_bench_command(Program& program) {
  auto options = std::make_shared<BenchOptions>();
  CLI::App& command = program.add(
      {.name = "bench",
       .summary = "Measure how fast this machine decodes",
       .details =
           "Decodes random sentences with random weights of a preset, for every expert count, batch size and "
           "beam, and prints target tokens per second: the median of the repeats, and of its ratio (by "
           "processor time) to the first expert count.",
       .examples = "megin bench decode\nmegin bench decode --preset iwslt --expert-counts 1 64 --json"},
      [options](CommandContext& context) { bench(*options, context); });
  command.add_option("WHAT", options->what, "decode")->capture_default_str();
  command.add_option("--preset", options->preset, "of the model's dimensions")->capture_default_str();
  const auto add = [&command](const std::string& name, auto& value, int64_t lowest, const std::string& what) {
    command.add_option(name, value, what)
        ->capture_default_str()
        ->check(CLI::Range(lowest, int64_t{1'000'000}).description(""));
  };
  add("--expert-counts", options->experts, 1, "models to compare; 1: dense");
  add("--batch", options->batches, 1, "sentences decoded side by side");
  add("--beam", options->beams, 1, "1: greedy");
  add("--vocabulary", options->vocabulary, 8, "symbols");
  add("--length", options->length, 2, "tokens of an output, and of a source on average");
  add("--sentences", options->sentences, 1, "decoded in each run");
  add("--repeats", options->repeats, 1, "runs of which the median is taken");
  command
      .add_option("--method", options->method,
                  "what the models with experts were trained by: thor, switch ...")
      ->capture_default_str();
  command.add_option("--body", options->body, "of experts: replace, or insert as layers of their own")
      ->capture_default_str();
  add("--sublayers", options->sublayers, 1, "of insert: residual feed-forwards of an expert");
  add("--every", options->every, 1, "of replace: experts in every so many layers of each stack");
  add("--feed-forward", options->feed_forward, 0, "inner width of feed-forwards; 0: the preset's");
  add("--expert-feed-forward", options->expert_feed_forward, 0, "that of an expert; 0: the same");
  command
      .add_option("--experts", options->dispatches, "sentence, token, batch ...; auto: sentence, or router")
      ->capture_default_str();
  add_threads_option(command, options->threads);
}

}  // namespace megin::cli
