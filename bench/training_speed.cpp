// How fast a model trains: target tokens a second, processor seconds per 1,000 target tokens, memory; for
// dense and for THOR with several numbers of experts, fused and plain. Random sentences: speed does not
// depend on the words.
//
//   megin_bench_training --preset tiny --experts 1 2 16 64 --passes 1
//
// "pass" is forward and backward of a micro-batch, "update" the whole of it with clipping and the optimiser.
// All configurations take turns, so that a machine whose speed drifts disturbs all of them alike; medians are
// printed.
#include <ATen/Parallel.h>
#include <malloc.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/processors.h"
#include "base/random.h"
#include "data/batch_stream.h"
#include "net/initialisation.h"
#include "objective/vocabulary_loss.h"
#include "train/library_threads.h"
#include "train/training_step.h"

namespace {

using namespace megin;

struct Options {
  std::string preset = "tiny";
  std::vector<int64_t> experts = {1, 2, 16, 64};
  int64_t passes = 1;
  int64_t vocabulary = 10000;
  int64_t batch_tokens = 4096;
  int64_t repeats = 7;
  int64_t threads = 0;
  bool plain = false;
};

// Sentences of 4 to 28 tokens, targets within a few tokens of their sources: the lengths of image captions.
data::MemoryExamples random_pairs(int64_t vocabulary) {
  data::MemoryExamples examples;
  const uint64_t key = draw_key(1, Purpose::kSampling);
  uint64_t counter = 0;
  const auto sentence = [&](uint64_t length) {
    std::vector<int32_t> tokens;
    for (uint64_t i = 0; i < length; ++i) {
      tokens.push_back(
          static_cast<int32_t>(4 + draw_index(key, counter++, static_cast<uint64_t>(vocabulary) - 4)));
    }
    return tokens;
  };
  for (int i = 0; i < 8000; ++i) {
    const uint64_t length = 4 + draw_index(key, counter++, 24);
    auto source = sentence(length);
    examples.add(std::move(source), sentence(length + draw_index(key, counter++, 4)));
  }
  return examples;
}

struct Times {
  double wall = 0, processor = 0;
};

struct Case {
  Case(const Options& options, int64_t count, const config::TrainConfig& train_config, ThreadPool& pool)
      : config(train_config),
        model(model_config(options, count)),
        state(model, config),
        step(config, model, pool) {
    net::initialise(model.parameters(), model.config(), 1);
  }

  static config::ModelConfig model_config(const Options& options, int64_t count) {
    config::ModelConfig config;
    config::apply_model_preset(config, options.preset);
    config.source_vocabulary = config.target_vocabulary = options.vocabulary;
    config.experts.count = count;
    return config;
  }

  void pass(const data::TranslationBatch& batch) {
    const net::ForwardContext context{.training = true,
                                      .operations = train::operations_of(config),
                                      .update = static_cast<uint64_t>(updates),
                                      .passes = config.objective.passes};
    const at::Tensor states = model.forward(batch, context);
    const objective::VocabularyLossInputs inputs{states, model.output_weight(), batch.target_output,
                                                 context.passes};
    const auto weights = objective::weights_of(config.objective);
    (config.plain_operations ? objective::plain_vocabulary_loss(inputs, weights)
                             : objective::chunked_vocabulary_loss(inputs, weights))
        .total.backward();
  }

  config::TrainConfig config;
  model::EncoderDecoder model;
  train::OptimizerState state;
  train::TrainingStep step;
  int64_t updates = 0;
  std::vector<double> pass_rates, pass_costs, update_rates, update_costs;
};

template <typename Body>
Times timed(const Body& body) {
  const double wall = system_clock().steady_seconds(), processor = process_usage().cpu_seconds;
  body();
  return {system_clock().steady_seconds() - wall, process_usage().cpu_seconds - processor};
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
}

nlohmann::ordered_json report(const std::vector<std::unique_ptr<Case>>& cases, const Options& options) {
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
         {"parameter_mib", static_cast<double>(one->model.parameters().values().size_bytes()) / (1 << 20)}});
  }
  return {{"preset", options.preset},
          {"passes", options.passes},
          {"operations", options.plain ? "plain" : "fused"},
          {"vocabulary", options.vocabulary},
          {"batch_tokens", options.batch_tokens},
          {"repeats", options.repeats},
          {"threads", at::get_num_threads()},
          {"peak_resident_mib", static_cast<double>(process_usage().peak_resident_bytes) / (1 << 20)},
          {"rows", rows}};
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  CLI::App app("Training speed of dense models and of random experts, as one JSON object");
  app.add_option("--preset", options.preset, "dimensions of the model")->capture_default_str();
  app.add_option("--experts", options.experts, "numbers of experts; 1 is dense; the first is the yardstick");
  app.add_option("--passes", options.passes, "1: cross-entropy, 2: with the consistency term")
      ->capture_default_str();
  app.add_option("--vocabulary", options.vocabulary)->capture_default_str();
  app.add_option("--batch-tokens", options.batch_tokens)->capture_default_str();
  app.add_option("--repeats", options.repeats)->capture_default_str();
  app.add_option("--threads", options.threads, "0: all processors")->capture_default_str();
  app.add_flag("--plain", options.plain, "libtorch's own operations, and its memory handling: the twin");
  CLI11_PARSE(app, argc, argv);
  if (!options.plain) {  // the twin is libtorch as it comes
    mallopt(M_MMAP_THRESHOLD, 1 << 30);
    mallopt(M_TRIM_THRESHOLD, -1);
  }

  ThreadPool pool(options.threads > 0 ? static_cast<int>(options.threads) : usable_processors());
  config::TrainConfig config;
  config.objective.passes = options.passes;
  config.plain_operations = options.plain;
  train::set_library_threads(pool.threads(), train::operations_of(config));
  const data::MemoryExamples examples = random_pairs(options.vocabulary);
  data::BatchStream stream(examples, {.max_tokens = options.batch_tokens, .seed = 1, .corpus_weights = {}});
  std::vector<std::unique_ptr<Case>> cases;
  for (const int64_t count : options.experts)
    cases.push_back(std::make_unique<Case>(options, count, config, pool));
  for (int64_t repeat = -2; repeat < options.repeats; ++repeat) {
    for (const auto& one : cases) measure(*one, stream, repeat >= 0);
  }
  std::cout << report(cases, options).dump(2) << "\n";
  return 0;
}
