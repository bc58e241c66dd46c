// Measuring a classifier on a file of sentences with their labels.
#pragma once

#include <cstdint>
#include <string>

#include "cli/decoding_options.h"
#include "cli/test_files.h"

namespace megin::cli {

// Measures the model `seeds` times on files.labels, with the seeds S, S + 1 ... of the experts' draws, and
// prints the results. Throws Error as label_loss().
void evaluate_labels(const DecodingOptions& options, const TestFiles& files, int64_t seeds,
                     CommandContext& context);

}  // namespace megin::cli
