#include "cli/label_loss.h"

#include <algorithm>

#include "base/error.h"
#include "data/class_labels.h"
#include "runtime/classifier.h"
#include "text/plain_readers.h"

namespace megin::cli {
namespace {

constexpr size_t kWindowLines = 2000;

// A part of the file.
struct Window {
  std::vector<std::string> sentences;
  std::vector<int32_t> labels;
};

// How many lines the next window may have; 0: enough were read.
size_t lines_left(const TestFiles& files, uint64_t read) {
  if (files.most_lines == 0) return kWindowLines;
  return static_cast<size_t>(std::min<uint64_t>(kWindowLines, files.most_lines - read));
}

Window next_window(text::PairReader& reader, const std::vector<std::string>& classes, size_t most) {
  Window window;
  for (text::Pair pair; window.sentences.size() < most && reader.next(pair);) {
    window.labels.push_back(data::class_of(pair.target, classes, reader.where()));
    window.sentences.push_back(pair.source);
  }
  return window;
}

void add(const Window& window, const std::vector<runtime::ClassScores>& scores, FileLoss& result) {
  for (size_t i = 0; i < scores.size(); ++i) {
    const int32_t label = window.labels[i];
    result.found += {.right = scores[i].likeliest() == label ? 1U : 0U, .all = 1};
    result.loss += {.nats = -scores[i].log_probabilities[static_cast<size_t>(label)], .tokens = 1};
  }
  result.lines += scores.size();
}

runtime::Classifier classifier(const LossTools& tools, const std::string& path) {
  return {tools.model,
          tools.bundle.target,
          {.batch_tokens = tools.search.batch_tokens,
           .warn = [warn = tools.warn, path](const std::string& text) { warn(path + ": " + text); }}};
}

}  // namespace

void add_label_options(CLI::App& command, LabelFile& file) {
  command.add_option("--labels", file.path,
                     "sentences with their labels for a classifier, a TSV file; also .gz or .zst");
  command
      .add_option("--sentence-column", file.sentence_column,
                  "of --labels: its number from 1, or its name in the first line")
      ->capture_default_str();
  command.add_option("--label-column", file.label_column, "the same")->capture_default_str();
  command.add_flag("--header", file.header, "of --labels: the first line is none of them; names say so, too");
}

std::unique_ptr<text::PairReader> open_labels(const LabelFile& file) {
  return text::open_tsv(file.path,
                        {.columns = {file.sentence_column, file.label_column}, .header = file.header});
}

FileLoss label_loss(const LossTools& tools, const TestFiles& files,
                    const std::function<void(int64_t)>& advanced) {
  const runtime::Classifier model = classifier(tools, files.labels.path);
  const auto reader = open_labels(files.labels);
  FileLoss result;
  while (const size_t most = lines_left(files, result.lines)) {
    const Window window = next_window(*reader, tools.bundle.directory->description.classes, most);
    if (window.sentences.empty()) break;
    add(window, model.classify(window.sentences, result.lines, tools.pool), result);
    advanced(static_cast<int64_t>(window.sentences.size()));
  }
  if (result.lines == 0) fail("{}: wanted sentences with labels, found none", files.labels.path);
  return result;
}

void classify_text(const LossTools& tools, const TestFiles& files,
                   const std::function<void(int64_t)>& advanced) {
  const runtime::Classifier model = classifier(tools, files.text);
  text::LineReader lines(files.text);
  uint64_t read = 0;
  while (const size_t most = lines_left(files, read)) {
    std::vector<std::string> sentences;
    for (std::string line; sentences.size() < most && lines.next(line);) sentences.push_back(line);
    if (sentences.empty()) break;
    model.classify(sentences, read, tools.pool);
    read += sentences.size();
    advanced(static_cast<int64_t>(sentences.size()));
  }
}

}  // namespace megin::cli
