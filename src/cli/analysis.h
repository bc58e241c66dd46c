// What `megin analyze` can show: one file for each, NAME_analysis.cpp.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "cli/test_files.h"

namespace megin::cli {

struct AnalysisOptions {
  std::vector<std::string> paths;  // at least one: runs, models or files, as the analysis takes them
  std::string svg, csv;            // files for the picture and its numbers; empty: none
  int64_t top = 20;                // of experts: symbols shown of each; of votes: experts of each layer
  std::string key = "bleu";        // of consistency: bleu or loss
  TestFiles files;                 // of slimming and votes
  std::string tag;                 // of those: target-language tag; empty: none
  std::string budget;              // of slimming, as 20ms or 60%; empty: none
  bool per_layer = false;          // of slimming: search a number for each expert layer
  // Of the files: of slimming by layer, whose loss is over them, 200 if not given; of votes all.
  std::optional<uint64_t> lines;
  int64_t active = 0;   // of votes: experts of a token; 0: by the model
  int64_t threads = 0;  // of slimming, for its loss; 0: all processors
};

// Each writes a table, or one object with --json. Throws UsageError for more paths than it takes.
void analyze_fluctuation(const AnalysisOptions& options, CommandContext& context);
void analyze_experts(const AnalysisOptions& options, CommandContext& context);
void analyze_similarity(const AnalysisOptions& options, CommandContext& context);
void analyze_consistency(const AnalysisOptions& options, CommandContext& context);
void analyze_slimming(const AnalysisOptions& options, CommandContext& context);
void analyze_votes(const AnalysisOptions& options, CommandContext& context);

// A file of its own, whole or not at all.
void write_output(const std::string& path, const std::string& text, CommandContext& context);

}  // namespace megin::cli
