// One update of THOR at the tiny size, always the same, on one thread: what scripts/check_instructions.sh
// counts the instructions of. Small, because callgrind computes each multiply-add in a function. Prints the
// gradient norm.
#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else  // runs, but callgrind finds nothing to count
#define CALLGRIND_START_INSTRUMENTATION
#define CALLGRIND_STOP_INSTRUMENTATION
#endif

#include <iostream>

#include "bench/random_pairs.h"
#include "net/initialisation.h"
#include "train/library_threads.h"
#include "train/training_step.h"

int main() {
  using namespace megin;
  config::ModelConfig model_config;
  config::apply_model_preset(model_config, "tiny");
  model_config.source_vocabulary = model_config.target_vocabulary = 1000;
  model_config.experts.count = 2;
  config::TrainConfig config;
  config.objective.passes = 2;
  train::set_library_threads(1, train::operations_of(config));

  ThreadPool pool(1);
  model::Transformer model(model_config);
  net::initialise(model.parameters(), model_config, 1);
  train::OptimizerState state(model, config);
  train::TrainingStep step(config, model, pool);
  const data::MemoryExamples examples = bench::random_pairs(200, 1000);
  data::PairStream stream(examples, {.max_tokens = 256, .seed = 1, .corpus_weights = {}});
  const data::TokenBatch batch = stream.next();
  CALLGRIND_START_INSTRUMENTATION;
  const double norm = step.run(std::span(&batch, 1), 0, state).gradient_norm;
  CALLGRIND_STOP_INSTRUMENTATION;
  std::cout << "gradient norm " << norm << "\n";
  return 0;
}
