// What a classifier makes of sentences: its loss and accuracy where they have labels, and a pass over them
// where something is to be noted of the model.
#pragma once

#include <functional>

#include "cli/command.h"
#include "cli/test_files.h"
#include "text/corpus.h"

namespace megin::cli {

// Adds --labels, --sentence-column, --label-column and --header.
void add_label_options(CLI::App& command, LabelFile& file);

// A sentence and its label each; for the columns Error and UsageError as of text::TsvRows.
std::unique_ptr<text::PairReader> open_labels(const LabelFile& file);

// How well the classifier tells the labels of files.labels: its `found`, and the loss of the labels. Calls
// `advanced` with each number of lines read. Throws Error naming a line without the columns, or with a label
// that is none of the model's classes, and for a file without lines.
FileLoss label_loss(const LossTools& tools, const TestFiles& files,
                    const std::function<void(int64_t)>& advanced);

// Reads the lines of files.text, a sentence each.
void classify_text(const LossTools& tools, const TestFiles& files,
                   const std::function<void(int64_t)>& advanced);

}  // namespace megin::cli
