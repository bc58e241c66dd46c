// What both forms of megin analyze slimming measure: the loss and the time of a token with some number of
// experts.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/console.h"
#include "base/progress.h"
#include "cli/analysis.h"
#include "cli/test_files.h"
#include "runtime/line_encoder.h"

namespace megin::cli {

double median(std::vector<double> values);

// Most time of a token, or most FLOPs as a share of those with all experts. One of them is positive, or none.
struct Budget {
  double milliseconds = 0;
  double share = 0;

  bool given() const { return milliseconds > 0 || share > 0; }
};

// "20ms", "0.5s" or "60%"; of an empty text none. Throws UsageError for anything else.
Budget parse_budget(const std::string& text);

// 1, 2, 4 ... and all.
std::vector<int64_t> numbers_of_experts(int64_t count);

// The model with so many experts a token, in all expert layers or in each (config::Dispatch::active).
runtime::Transformer with_experts(const runtime::ModelBundle& bundle, std::vector<int64_t> active,
                                  bool scaled = true);

// FLOPs of a target token, of a masked_lm or a classifier of any of its text.
double flops_of_token(const config::ModelConfig& config, int64_t active);

// What decoding is timed on: the first line with something in it, or the beginning of a text; of a classifier
// reading the first sentence.
struct Sample {
  search::Source source;
  std::vector<int32_t> tokens;  // fed one by one
};

// Throws Error when the files hold nothing.
Sample read_sample(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                   const runtime::LineEncoder& encoder);

// Of a token of the sample, decoded one by one; whole: with reading its source. A masked_lm reads it at once;
// a classifier says nothing of what comes next.
enum class Timed { kDecoding, kWhole };
double milliseconds_of_token(const runtime::Transformer& model, const Sample& sample, Timed timed);

FileLoss loss_over(const TestFiles& files, const LossTools& tools, const runtime::LineEncoder& encoder,
                   Progress& progress);

// How slimming reads lines.
runtime::LineEncoder line_encoder(const AnalysisOptions& options, const runtime::ModelBundle& bundle);

// megin analyze slimming --per-layer: how many experts each expert layer needs (layer_slimming.cpp).
void slim_by_layer(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                   CommandContext& context);

}  // namespace megin::cli
