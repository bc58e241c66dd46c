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
#include "runtime/batched_search.h"
#include "runtime/encoder_decoder.h"
#include "runtime/random_weights.h"

namespace megin::cli {
namespace {

struct BenchOptions {
  std::string what = "decode";
  std::string preset = "tiny";
  std::string dispatch = "sentence";
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

// One cell of the table: what is run, and its rates in target tokens a second.
struct Cell {
  int64_t experts = 1, batch = 1, beam = 1;
  std::vector<double> rates;

  double median() const {
    std::vector<double> sorted = rates;
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
  }
};

Model make_model(const BenchOptions& options, int64_t experts) {
  config::ModelConfig config;
  config::apply_model_preset(config, options.preset);
  config.source_vocabulary = config.target_vocabulary = options.vocabulary;
  config.experts.count = experts;
  auto weights = std::make_shared<const runtime::Weights>(config, runtime::random_weights(config, 1));
  // What is measured is a model that has served for a while.
  for (const runtime::StackWeights* stack : {&weights->encoder, &weights->decoder}) {
    for (const runtime::LayerWeights& layer : stack->layers) {
      for (int64_t e = 0; e < layer.experts->count(); ++e) (*layer.experts)[e];
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
double measure(const Cell& cell, const runtime::EncoderDecoder& model, const BenchOptions& options,
               std::span<const search::Source> sources, ThreadPool& pool) {
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
  const double start = system_clock().steady_seconds();
  pool.run_tasks(tasks);
  const double seconds = system_clock().steady_seconds() - start;
  uint64_t total = 0;
  for (const uint64_t n : tokens) total += n;
  return static_cast<double>(total) / seconds;
}

std::vector<Cell> run_cells(const BenchOptions& options, CommandContext& context) {
  std::vector<Model> models;
  for (const int64_t experts : options.experts) models.push_back(make_model(options, experts));
  const auto sources = make_sources(options);
  std::vector<Cell> cells;
  for (const int64_t batch : options.batches) {
    for (const int64_t beam : options.beams) {
      for (const Model& model : models) {
        cells.push_back({.experts = model.experts, .batch = batch, .beam = beam, .rates = {}});
      }
    }
  }
  ThreadPool pool(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors());
  Progress progress(
      {.label = "bench", .unit = "runs", .total = options.repeats * static_cast<int64_t>(cells.size())},
      context.console);
  // Repeats go around all cells, so that what else the machine does meets all alike.
  for (int64_t repeat = 0; repeat < options.repeats; ++repeat) {
    for (size_t i = 0; i < cells.size(); ++i) {
      const runtime::EncoderDecoder model(models[i % models.size()].weights,
                                          config::parse_dispatch(options.dispatch, 1));
      cells[i].rates.push_back(measure(cells[i], model, options, sources, pool));
      progress.advance();
    }
  }
  return cells;
}

// Median over the repeats of a cell's rate divided by that of the first expert count with the same batch and
// beam.
double ratio_to_first(const std::vector<Cell>& cells, size_t index, size_t models) {
  const Cell& first = cells[index / models * models];
  Cell ratios;
  for (size_t r = 0; r < first.rates.size(); ++r)
    ratios.rates.push_back(cells[index].rates[r] / first.rates[r]);
  return ratios.median();
}

void bench(const BenchOptions& options, CommandContext& context) {
  if (options.what != "decode") fail_usage("WHAT: wanted decode; found '{}'", options.what);
  if (options.vocabulary < 5 || options.length < 2 || options.sentences < 1 || options.repeats < 1) {
    fail_usage(
        "wanted a vocabulary of at least 5, a length of at least 2, and at least one sentence and repeat");
  }
  const std::vector<Cell> cells = run_cells(options, context);
  nlohmann::ordered_json json = {{"bench", "decode"},
                                 {"preset", options.preset},
                                 {"dispatch", options.dispatch},
                                 {"vocabulary", options.vocabulary},
                                 {"length", options.length},
                                 {"sentences", options.sentences},
                                 {"threads", options.threads},
                                 {"repeats", options.repeats}};
  for (size_t i = 0; i < cells.size(); ++i) {
    const Cell& cell = cells[i];
    const double ratio = ratio_to_first(cells, i, options.experts.size());
    json["results"].push_back(nlohmann::ordered_json{{"experts", cell.experts},
                                                     {"batch", cell.batch},
                                                     {"beam", cell.beam},
                                                     {"tokens_per_second", cell.median()},
                                                     {"ratio_to_first", ratio}});
    if (!context.json) {
      context.out << fmt::format(
          "experts {:3}  batch {:3}  beam {}  {:9.0f} target tokens/s  {:.2f} of {} expert(s)\n",
          cell.experts, cell.batch, cell.beam, cell.median(), ratio, options.experts[0]);
    }
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
           "beam, and prints target tokens per second: the median of the repeats, and of its ratio to the "
           "first expert count.",
       .examples = "megin bench decode\nmegin bench decode --preset iwslt --expert-counts 1 64 --json"},
      [options](CommandContext& context) { bench(*options, context); });
  command.add_option("WHAT", options->what, "decode")->capture_default_str();
  command.add_option("--preset", options->preset, "of the model's dimensions")->capture_default_str();
  command.add_option("--expert-counts", options->experts, "models to compare; 1: dense")
      ->capture_default_str();
  command.add_option("--batch", options->batches, "sentences decoded side by side")->capture_default_str();
  command.add_option("--beam", options->beams, "1: greedy")->capture_default_str();
  command.add_option("--experts", options->dispatch, "sentence, token, batch ...")->capture_default_str();
  command.add_option("--vocabulary", options->vocabulary, "symbols")->capture_default_str();
  command.add_option("--length", options->length, "tokens of an output, and of a source on average")
      ->capture_default_str();
  command.add_option("--sentences", options->sentences, "decoded in each run")->capture_default_str();
  command.add_option("--repeats", options->repeats, "runs of which the median is taken")
      ->capture_default_str();
  add_threads_option(command, options->threads);
}

}  // namespace megin::cli
