// What both forms of megin analyze slimming measure: the loss and the time of a token with some number of
// experts.
#pragma once

#include <cstdint>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/console.h"
#include "base/progress.h"
#include "cli/analysis.h"
#include "cli/test_files.h"
#include "report/line_chart.h"
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

// The largest of 1 ... count that fits, where what is larger costs more; none: not even 1. Where costs were
// measured and are not quite in order, it is one that fits while the next one does not.
std::optional<int64_t> largest_fitting(int64_t count, const std::function<bool(int64_t)>& fits);

// FLOPs of a token of each side with so many experts in all expert layers or in each; of a masked_lm, of a
// token that it reads.
double flops_of_token(const config::ModelConfig& config, std::span<const int64_t> active);

// What decoding is timed on: the first line with something in it, or the beginning of a text; of a classifier
// reading the first sentence.
struct Sample {
  search::Source source;
  std::vector<int32_t> tokens;  // fed one by one
};

// Throws Error when the files hold nothing.
Sample read_sample(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                   const runtime::LineEncoder& encoder);

// Of a token of the sample: reading its source, and decoding them one by one. A masked_lm reads them at once;
// a classifier says nothing of what comes next.
double milliseconds_of_token(const runtime::Transformer& model, const Sample& sample);

// For people: what FLOPs and times are of.
std::string cost_note(const config::ModelConfig& config);

// Of the process, which has all experts whatever the number that a token meets: so it is one for all numbers.
struct MemoryUse {
  double weights_mebibytes = 0;  // of the model
  double most_mebibytes = 0;     // resident until now: weights, packed too, texts and what is computed
};
MemoryUse memory_use(const config::ModelConfig& config);
std::string memory_note(const MemoryUse& memory);  // for people
void add_memory(const MemoryUse& memory, nlohmann::ordered_json& json);

// What a model is worth by what it costs, as SVG.
struct CostPicture {
  std::string subtitle;
  std::string cost;         // of the points' x, with its unit
  bool of_classes = false;  // their y: accuracy in percent; or else the loss
};
std::string cost_picture(const CostPicture& picture, std::vector<report::Point> points);

FileLoss loss_over(const TestFiles& files, const LossTools& tools, const runtime::LineEncoder& encoder,
                   Progress& progress);

// How slimming reads lines.
runtime::LineEncoder line_encoder(const AnalysisOptions& options, const runtime::ModelBundle& bundle);

// megin analyze slimming --per-layer: how many experts each expert layer needs (layer_slimming.cpp).
void slim_by_layer(const AnalysisOptions& options, const runtime::ModelBundle& bundle,
                   CommandContext& context);

}  // namespace megin::cli
