// Measuring a classifier on a file of sentences with their labels.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "cli/decoding_options.h"
#include "metric/accuracy.h"
#include "metric/perplexity.h"

namespace megin::cli {

// A TSV file; columns as text::TsvOptions has them.
struct LabelFile {
  std::string path;
  std::string sentence_column = "1";
  std::string label_column = "2";
  bool header = false;
};

// One pass over the file.
struct LabelEvaluation {
  uint64_t seed = 0;
  std::string experts;          // how they were chosen
  metric::Accuracy found = {};  // classes that are right
  metric::LogLoss loss = {};    // of the labels; its tokens are sentences
  double seconds = 0;
};

// Adds --labels, --sentence-column, --label-column and --header.
void add_label_options(CLI::App& command, LabelFile& file);

// Measures the model `seeds` times, with the seeds S, S + 1 ... of the experts' draws, and prints the
// results. Throws Error naming a line without the columns, or with a label that is none of the model's
// classes.
void evaluate_labels(const DecodingOptions& options, const LabelFile& file, int64_t seeds,
                     CommandContext& context);

}  // namespace megin::cli
