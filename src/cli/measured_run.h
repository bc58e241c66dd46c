// Running a model over a little text so that something may be noted of it (convert, calibrate, analyze
// votes).
#pragma once

#include <string>

#include "base/console.h"
#include "cli/command.h"
#include "cli/test_files.h"

namespace megin::cli {

// What a model reads: a text, or pairs; of a model that translates also sources alone, which it translates
// itself, greedily. A classifier reads sentences: the lines of a text, or those that have labels.
struct ReadFiles {
  TestFiles files = {.source = {}, .reference = {}, .text = {}, .most_lines = 500};
  std::string tag;  // target-language tag put before each source line; empty: none

  bool given() const {
    return !files.text.empty() || !files.source.empty() || !files.reference.empty() ||
           !files.labels.path.empty();
  }
};

// Adds --text, --src, --ref, --tag, --lines and what add_label_options() adds.
void add_read_files(CLI::App& command, ReadFiles& read);

struct MeasuredRun {
  const runtime::ModelBundle& bundle;
  config::Dispatch dispatch;
  runtime::Measurements measured;
  std::string label;  // of the progress shown
};

// Runs the model, on one thread, as what is measured wants it. Throws UsageError for files that such a model
// does not read.
void run_over(const ReadFiles& read, const MeasuredRun& run, Console& console);

}  // namespace megin::cli
