// The files that a model is measured on, and its loss over them: pairs of a source and a reference, a text,
// or (label_loss.h) sentences with labels.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/train_config.h"
#include "metric/accuracy.h"
#include "metric/perplexity.h"
#include "runtime/model_bundle.h"
#include "runtime/text_scorer.h"
#include "runtime/translator.h"
#include "text/line_reader.h"

namespace megin::cli {

// Sentences with their labels, a TSV file; columns as text::TsvOptions has them.
struct LabelFile {
  std::string path;
  std::string sentence_column = "1";
  std::string label_column = "2";
  bool header = false;
};

struct TestFiles {
  std::string source, reference;  // of a model that translates
  std::string text;               // of a language model; of a classifier where nothing is measured: sentences
  uint64_t most_lines = 0;        // read no more of each; 0: all
  config::MaskingConfig masking = {};  // of a masked_lm's text
  LabelFile labels = {};               // of a classifier
};

// Throws UsageError where the files are not those on which such a model is measured.
void check_files(const TestFiles& files, const config::ModelConfig& model);

struct FileLoss {
  metric::LogLoss loss;  // of a masked_lm: of the masked tokens; of a classifier: its tokens are sentences
  metric::Accuracy found = {};  // of a classifier: classes that are right
  uint64_t lines = 0;
  bool of_bytes = false;  // a text whose tokens are bytes: it has no words
  uint64_t words = 0;     // of a text, line ends included; of a masked_lm, as the bytes, 0
  uint64_t bytes = 0;     // the same; where tokens are bytes, as many as there are
  uint64_t left_out = 0;  // pairs with an empty side

  double bits_per_byte() const { return loss.bits_per(bytes); }
  double word_perplexity() const { return loss.perplexity_per(words); }
};

// Writes a line into the log.
void log_warning(const std::string& text);

// What all need. Keeps references.
struct LossTools {
  const runtime::ModelBundle& bundle;
  const runtime::Transformer& model;
  const runtime::BatchedSearch& search;
  ThreadPool& pool;
  std::function<void(const std::string&)> warn = log_warning;  // of sentences that a classifier cuts off
};

// A window of the test set.
struct TestPairs {
  std::vector<runtime::TranslationInput> sources;
  std::vector<std::string> references;
};

// Reads the two files in windows. Throws Error when one has more lines than the other.
class PairReader {
 public:
  explicit PairReader(const TestFiles& files)
      : sources_(files.source), references_(files.reference), most_lines_(files.most_lines) {}

  // False when the window is the last one.
  bool next(TestPairs& pairs);

 private:
  text::LineReader sources_, references_;
  uint64_t most_lines_, lines_ = 0;
};

// Adds the loss of a window to `loss`, and its lines. Throws Error naming a line that the model cannot read.
void add_pair_loss(const LossTools& tools, const runtime::LineEncoder& encoder,
                   const std::string& reference_file, const TestPairs& pairs, FileLoss& loss);

// The loss over the text of `files` in blocks of `block_tokens` (0: as long as the model can read). Calls
// `advanced` with each number of lines read. A model of bytes reads every byte, but newlines where its
// vocabulary drops them. A masked_lm restores the tokens that files.masking masks by
// text::kEvaluationMaskSeed.
FileLoss text_loss(const LossTools& tools, const TestFiles& files, int64_t block_tokens,
                   const std::function<void(int64_t)>& advanced);

}  // namespace megin::cli
