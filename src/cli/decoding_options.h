// What translate and evaluate are told in common: which experts, how to search, with how many threads.
#pragma once

#include <optional>
#include <string>

#include "cli/command.h"
#include "runtime/batched_search.h"
#include "runtime/model_bundle.h"

namespace megin::cli {

struct DecodingOptions {
  std::string model;
  std::string experts = "auto";
  std::optional<float> gate = {};
  bool unscaled = false;
  uint64_t seed = 1;
  std::string length_penalty = "fairseq";
  int64_t threads = 0;
  std::string tag;
  runtime::BatchedSearch search;
};

// Adds MODEL, --experts, --gate, --unscaled, --seed, --batch-tokens and --threads.
void add_model_options(CLI::App& command, DecodingOptions& options);

// The same and --beam, --length-penalty, --lenpen, --max-length-a, --max-length-b and --tag.
void add_decoding_options(CLI::App& command, DecodingOptions& options);

// Throws UsageError, with the command to use instead, for a model (opened from `path`) of another kind.
void require_kind(const runtime::ModelBundle& bundle, config::ModelKind wanted, const std::string& path);

// The search settings with every name resolved. Throws UsageError for a name that is none.
runtime::BatchedSearch batched_search(const DecodingOptions& options);

// The model with the dispatch that --experts and --seed + `seed_offset` ask for. Throws UsageError, with the
// modes that this model serves, when it cannot serve that one.
runtime::Transformer serving_model(const runtime::ModelBundle& bundle, const DecodingOptions& options,
                                   uint64_t seed_offset = 0);

// For people: what config::to_string() says, the gate where one was given, and that scales are left out.
std::string describe(const config::Dispatch& dispatch);

// Warns when the model was trained with target-language tags and --tag is not given.
void warn_about_tags(const runtime::ModelBundle& bundle, const DecodingOptions& options);

// Number of threads that --threads asks for.
int thread_count(const DecodingOptions& options);

}  // namespace megin::cli
