// How fast a model trains: target tokens a second, processor seconds per 1,000 target tokens, memory; for
// dense and for a method with several numbers of experts, fused and plain.
//
//   megin_bench_training --preset tiny --experts 1 2 16 64 --passes 1
//
// "pass" is forward and backward of a micro-batch, "update" the whole of it with clipping and the optimiser.
// gflops counts the matrix products of an update on tokens (not on padding); matrix_gflops is the rate of
// large products on the same threads, measured between the updates. All configurations take turns, so that a
// machine whose speed drifts disturbs all of them alike; medians are printed.
#include <ATen/Parallel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/allocator.h"
#include "base/clock.h"
#include "base/processors.h"
#include "bench/random_pairs.h"
#include "config/enums.h"
#include "config/method.h"
#include "data/block_stream.h"
#include "data/pair_stream.h"
#include "net/initialisation.h"
#include "store/model_size.h"
#include "train/library_threads.h"
#include "train/training_step.h"

namespace {

using namespace megin;

struct Options {
  std::string preset = "tiny";
  std::vector<int64_t> experts = {1, 2, 16, 64};
  int64_t passes = 1;
  int64_t feed_forward = 0;
  int64_t vocabulary = 10000;
  int64_t batch_tokens = 4096;
  int64_t repeats = 7;
  int64_t threads = 0;
  std::vector<config::FusedPart> plain;
  config::Method method = config::Method::kThor;
  config::ExpertBody body = config::ExpertBody::kReplace;
  int64_t sublayers = 1;
  int64_t first_stage = 0;
};

struct Times {
  double wall = 0, processor = 0, minor_faults = 0;
};

struct Case {
  Case(const Options& options, int64_t count, const config::TrainConfig& train_config, ThreadPool& pool)
      : config(train_config),
        model(model_config(options, count), config.routing),
        state(model, config),
        step(config, model, pool) {
    net::initialise(model.parameters(), model.config(), 1);
    for (const net::Parameter& parameter : model.parameters().all()) {
      if (!parameter.name.ends_with("router.table")) continue;
      const auto table = model.parameters().values_of(parameter);
      for (size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i % static_cast<size_t>(count));
    }
  }

  static config::ModelConfig model_config(const Options& options, int64_t count) {
    config::ModelConfig config;
    config::apply_model_preset(config, options.preset);
    if (options.feed_forward > 0) config.feed_forward = options.feed_forward;
    config.source_vocabulary = config.target_vocabulary = options.vocabulary;
    config.experts = config::experts_of(config::traits_of(options.method), count);
    config.experts.body = options.body;
    config.experts.sublayers = options.sublayers;
    config.mixture = config::mixture_of(config::traits_of(options.method), count);
    config::check(config);
    return config;
  }

  void pass(const data::TokenBatch& batch) {
    train::UpdateReport report;
    step.accumulate(batch, updates, 0, report);
  }

  config::TrainConfig config;
  model::Transformer model;
  train::OptimizerState state;
  train::TrainingStep step;
  int64_t updates = 0;
  std::vector<double> pass_rates, pass_costs, update_rates, update_costs, update_gflops, update_faults,
      padding;
};

// Floating-point operations of an update's matrix products.
double update_flops(const Case& one, const data::TokenBatch& batch) {
  return store::count_training_flops(
      store::count_token_flops(one.model.config(), one.model.config().experts.active, 0),
      config::computed_passes(one.config, one.model.config().mixture.components), batch.source_tokens,
      batch.target_tokens);
}

template <typename Body>
Times timed(const Body& body) {
  const double wall = system_clock().steady_seconds();
  const ProcessUsage before = process_usage();
  body();
  const ProcessUsage after = process_usage();
  return {.wall = system_clock().steady_seconds() - wall,
          .processor = after.cpu_seconds - before.cpu_seconds,
          .minor_faults = static_cast<double>(after.minor_faults - before.minor_faults)};
}

// The rate of large products: one on each thread at the same time, or all threads on one where the matrix
// library has them (the twin). GFLOP/s.
double matrix_rate(int threads, net::Operations operations) {
  constexpr int64_t kSize = 1024, kRepeats = 8;
  const at::Tensor a = at::rand({threads * kSize, kSize}), b = at::rand({kSize, kSize}),
                   c = at::empty_like(a);
  const auto multiply = [&](int64_t row, int64_t rows) {
    const at::NoGradGuard no_gradients;
    at::Tensor to = c.narrow(0, row, rows);
    for (int64_t repeat = 0; repeat < kRepeats; ++repeat) at::mm_out(to, a.narrow(0, row, rows), b);
  };
  const Times times = timed([&] {
    if (!operations.all_fused()) return multiply(0, threads * kSize);
    at::parallel_for(0, threads, 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) multiply(i * kSize, kSize);
    });
  });
  return 2e-9 * static_cast<double>(threads * kRepeats * kSize * kSize * kSize) / times.wall;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

void measure(Case& one, data::BatchStream& stream, bool counted) {
  const auto batch = stream.next();
  const double tokens = static_cast<double>(batch.target_tokens);
  const Times pass = timed([&] { one.pass(batch); });
  std::ranges::fill(one.model.parameters().gradients(), 0.0f);
  const Times update = timed([&] { one.step.run(std::span(&batch, 1), one.updates++, one.state); });
  if (!counted) return;
  one.pass_rates.push_back(tokens / pass.wall);
  one.pass_costs.push_back(1000 * pass.processor / tokens);
  one.update_rates.push_back(tokens / update.wall);
  one.update_costs.push_back(1000 * update.processor / tokens);
  one.update_gflops.push_back(1e-9 * update_flops(one, batch) / update.wall);
  one.update_faults.push_back(update.minor_faults);
  one.padding.push_back(1 - static_cast<double>(batch.source_tokens + batch.target_tokens) /
                                static_cast<double>(batch.source.size() + batch.target_input.size()));
}

nlohmann::ordered_json plain_names(const Options& options) {
  nlohmann::ordered_json names = nlohmann::ordered_json::array();
  for (const config::FusedPart part : options.plain) names.push_back(config::enum_name(part));
  return names;
}

nlohmann::ordered_json report(const std::vector<std::unique_ptr<Case>>& cases, const Options& options,
                              const std::vector<double>& matrix_rates) {
  const double matrix_gflops = median(matrix_rates);
  nlohmann::ordered_json rows = nlohmann::ordered_json::array();
  const Case& first = *cases.front();
  for (const auto& one : cases) {
    rows.push_back(
        {{"experts", one->model.config().experts.count},
         {"pass_target_tokens_per_second", median(one->pass_rates)},
         {"pass_cpu_seconds_per_1000", median(one->pass_costs)},
         {"pass_speed_relative_to_first", median(one->pass_rates) / median(first.pass_rates)},
         {"pass_cpu_speed_relative_to_first", median(first.pass_costs) / median(one->pass_costs)},
         {"update_target_tokens_per_second", median(one->update_rates)},
         {"update_cpu_seconds_per_1000", median(one->update_costs)},
         {"update_gflops", median(one->update_gflops)},
         {"update_share_of_matrix_rate", median(one->update_gflops) / matrix_gflops},
         {"padding_share", median(one->padding)},
         {"update_minor_faults", median(one->update_faults)},
         {"parameter_mib", static_cast<double>(one->model.parameters().values().size_bytes()) / (1 << 20)}});
  }
  return {{"preset", options.preset},
          {"method", config::enum_name(options.method)},
          {"body", config::enum_name(options.body)},
          {"sublayers", options.sublayers},
          {"first_stage", options.first_stage},
          {"passes", options.passes},
          {"plain", plain_names(options)},
          {"vocabulary", options.vocabulary},
          {"batch_tokens", options.batch_tokens},
          {"repeats", options.repeats},
          {"threads", at::get_num_threads()},
          {"matrix_gflops", matrix_gflops},
          {"peak_resident_mib", static_cast<double>(process_usage().peak_resident_bytes) / (1 << 20)},
          {"rows", rows}};
}

// Random pairs, or of a language model their targets as one text.
std::unique_ptr<data::BatchStream> batches(const data::MemoryExamples& examples, const Options& options,
                                           const config::ModelConfig& model) {
  if (config::is_masked_lm(model)) {
    fail_usage("--preset: wanted one that translates or goes on with texts, found {}", options.preset);
  }
  if (config::is_causal_lm(model)) {
    return std::make_unique<data::BlockStream>(
        examples,
        data::BlockStreamOptions{.block_tokens = model.max_length, .max_tokens = options.batch_tokens});
  }
  return std::make_unique<data::PairStream>(
      examples, data::PairStreamOptions{.max_tokens = options.batch_tokens, .seed = 1, .corpus_weights = {}});
}

}  // namespace

int main(int argc, char** argv) {
  train::restart_with_passive_waits();
  Options options;
  std::vector<std::string> plain;
  std::string method = "thor", body = "replace";
  CLI::App app("Training speed of dense models and of random experts, as one JSON object");
  app.add_option("--preset", options.preset, "dimensions of the model")->capture_default_str();
  app.add_option("--experts", options.experts, "numbers of experts; 1 is dense; the first is the yardstick");
  app.add_option("--passes", options.passes, "1: cross-entropy, 2: with the consistency term")
      ->capture_default_str()
      ->check(CLI::Range(1, 2));
  app.add_option("--feed-forward", options.feed_forward, "inner width; 0: the preset's")
      ->capture_default_str();
  app.add_option("--vocabulary", options.vocabulary)->capture_default_str();
  app.add_option("--batch-tokens", options.batch_tokens)
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  app.add_option("--repeats", options.repeats)->capture_default_str()->check(CLI::Range(1, 1'000'000));
  app.add_option("--threads", options.threads, "0: all processors")->capture_default_str();
  app.add_option("--method", method, "what the models with experts are trained by")->capture_default_str();
  app.add_option("--body", body, "replace: in place of a layer's feed-forward; insert: a layer of their own")
      ->capture_default_str();
  app.add_option("--sublayers", options.sublayers, "of insert: residual feed-forwards of an expert")
      ->capture_default_str();
  app.add_option("--first-stage", options.first_stage, "of stable_moe: updates until the router is frozen")
      ->capture_default_str();
  app.add_option("--plain", plain, "parts that run as libtorch's own operations, the twin; all: every part")
      ->delimiter(',');
  CLI11_PARSE(app, argc, argv);
  options.method = config::parse_enum<config::Method>(method, "--method");
  options.body = config::parse_enum<config::ExpertBody>(body, "--body");
  for (const std::string& part : plain) {
    options.plain.push_back(config::parse_enum<config::FusedPart>(part, "--plain"));
  }

  ThreadPool pool(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors());
  config::TrainConfig config;
  config.objective.passes = options.passes;
  config.routing.balance = config::traits_of(options.method).balance;
  config.routing.first_stage = options.first_stage;
  config.plain_operations = options.plain;
  const net::Operations operations = train::operations_of(config);
  train::set_library_threads(pool.threads(), operations);
  if (operations.fused(config::FusedPart::kMemory)) keep_freed_memory();
  const data::MemoryExamples examples = bench::random_pairs(8000, options.vocabulary);
  std::vector<std::unique_ptr<Case>> cases;
  for (const int64_t count : options.experts)
    cases.push_back(std::make_unique<Case>(options, count, config, pool));
  const auto stream = batches(examples, options, cases.front()->model.config());
  std::vector<double> matrix_rates;
  for (int64_t repeat = -2; repeat < options.repeats; ++repeat) {
    for (const auto& one : cases) measure(*one, *stream, repeat >= 0);
    if (repeat >= 0) matrix_rates.push_back(matrix_rate(pool.threads(), operations));
  }
  std::cout << report(cases, options, matrix_rates).dump(2) << "\n";
  return 0;
}
