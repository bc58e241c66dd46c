// A folder written by `megin prepare`, opened for training and evaluation (docs/data_format.md).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "config/data_config.h"
#include "data/example_set.h"
#include "text/subword.h"

namespace megin::data {

// The text behind a validation or test set; line i belongs to example i. Of bytes, which have no lines, and
// of sentences with labels it is empty: their text stands in the file alone.
struct ParallelText {
  std::vector<std::string> source;  // with the target-language tag, as translate takes it; none of a text
  std::vector<std::string> target;  // the reference, or the line of a text, as it was given
};

// Movable. Everything in it is const in use and safe to read from any number of threads.
struct PreparedData {
  config::Task task = config::Task::kTranslation;
  std::filesystem::path folder;
  std::string source_language;  // BCP 47
  std::string target_language;
  ExampleSet train;
  ExampleSet valid;
  ExampleSet test;
  ParallelText valid_text;  // of `valid`
  std::shared_ptr<const text::SubwordModel> source_subword;
  std::shared_ptr<const text::SubwordModel> target_subword;  // the same object when the vocabulary is joint
  bool joint = true;              // one model, one vocabulary: embeddings may be shared
  int64_t source_vocabulary = 0;  // symbols, the four special ones included
  int64_t target_vocabulary = 0;
  std::vector<std::string> classes;    // labels of sentences, in the order of their numbers; else none
  std::vector<double> corpus_weights;  // for PairStreamOptions
  std::string fingerprint;             // of the whole content: a resumed run compares it
};

// Opens and checks the folder: every file is there with its size, every shard is sound (bounds; the checksums
// of the shards' content are left to verify_prepared). Throws Error naming the file and the remedy.
PreparedData open_prepared(const std::filesystem::path& folder);

// Compares every file with its checksum. Throws Error naming the first damaged one.
void verify_prepared(const std::filesystem::path& folder);

// Text of the test set; the same checks.
ParallelText test_text(const PreparedData& data);

}  // namespace megin::data
