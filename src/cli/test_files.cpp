#include "cli/test_files.h"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <array>

#include "base/error.h"
#include "runtime/batched_search.h"
#include "runtime/masked_scorer.h"
#include "text/byte_stream.h"
#include "text/unicode.h"
#include "text/vocabulary.h"

namespace megin::cli {

void check_files(const TestFiles& files, const config::ModelConfig& model) {
  const bool pairs = !files.source.empty() && !files.reference.empty();
  const bool no_pairs = files.source.empty() && files.reference.empty();
  if (config::is_classifier(model)) {
    if (files.labels.path.empty() || !files.text.empty() || !files.source.empty() || !files.reference.empty())
      fail_usage(
          "wanted --labels FILE (sentences with their labels) for a classifier, and no --text, --src or "
          "--ref");
    return;
  }
  if (!files.labels.path.empty())
    fail_usage("--labels: wanted a classifier, found a model that tells no classes");
  if (config::is_language_model(model)) {
    if (files.text.empty() || !no_pairs)
      fail_usage("wanted --text FILE for a language model, and no --src or --ref");
  } else if (!pairs || !files.text.empty()) {
    fail_usage("wanted --src FILE and --ref FILE for a model that translates, and no --text");
  }
}

void log_warning(const std::string& text) {
  spdlog::warn(text);
}

bool PairReader::next(TestPairs& pairs) {
  constexpr size_t kWindowLines = 2000;
  pairs = {};
  runtime::TranslationInput source;
  std::string reference;
  while (pairs.sources.size() < kWindowLines) {
    if (most_lines_ > 0 && lines_ == most_lines_) return false;
    ++lines_;
    const bool has_source = sources_.next(source.text), has_reference = references_.next(reference);
    if (has_source != has_reference) {
      const text::LineReader& ended = has_source ? references_ : sources_;
      fail("{} and {}: wanted as many lines in both, found the end of {} after {} lines",
           sources_.path().string(), references_.path().string(), ended.path().string(), ended.line_number());
    }
    if (!has_source) return false;
    pairs.sources.push_back(source);
    pairs.references.push_back(reference);
  }
  return true;
}

void add_pair_loss(const LossTools& tools, const runtime::LineEncoder& encoder,
                   const std::string& reference_file, const TestPairs& pairs, FileLoss& loss) {
  std::vector<search::Source> sources;
  std::vector<search::Tokens> targets;
  for (size_t i = 0; i < pairs.sources.size(); ++i) {
    search::Source source;
    const auto encoding = encoder.encode(pairs.sources[i].text, loss.lines + i, source);
    search::Tokens target = tools.bundle.target.encode(pairs.references[i]);
    if (encoding == runtime::Encoding::kEmpty || target.empty()) {
      ++loss.left_out;
      continue;
    }
    target.push_back(text::kEndId);
    if (static_cast<int64_t>(target.size()) > tools.model.max_length()) {
      fail("{}:{}: wanted at most {} tokens, end mark included, found {}", reference_file, loss.lines + i + 1,
           tools.model.max_length(), target.size());
    }
    sources.push_back(std::move(source));
    targets.push_back(std::move(target));
  }
  for (const auto& scored : runtime::score_all(tools.model, sources, targets, tools.search, tools.pool)) {
    loss.loss += {.nats = -scored.log_probability, .tokens = scored.tokens.size()};
  }
  loss.lines += pairs.sources.size();
}

namespace {

bool goes_on(const TestFiles& files, const FileLoss& read) {
  return files.most_lines == 0 || read.lines < files.most_lines;
}

// Gives `use` the lines of the text.
void read_lines(const TestFiles& files, const std::function<void(int64_t)>& advanced,
                const std::function<void(const std::string&)>& use, FileLoss& result) {
  text::LineReader lines(files.text);
  for (std::string line; goes_on(files, result) && lines.next(line); advanced(1)) {
    if (!text::is_valid_utf8(line))
      fail("{}: wanted UTF-8; convert the file (iconv -t UTF-8)", lines.where());
    use(line);
    ++result.lines;
  }
}

// How well the model restores what is masked of the text.
FileLoss masked_loss(const LossTools& tools, const TestFiles& files, int64_t block_tokens,
                     const std::function<void(int64_t)>& advanced) {
  const runtime::MaskedModel model(tools.model.weights(), tools.model.dispatch(), tools.model.measured());
  const text::Masking masking(files.masking, tools.bundle.target, text::kEvaluationMaskSeed);
  runtime::MaskedScorer scorer(
      model, masking, {.row_tokens = block_tokens, .batch_tokens = tools.search.batch_tokens}, tools.pool);
  FileLoss result;
  read_lines(
      files, advanced, [&](const std::string& line) { scorer.add(tools.bundle.target.encode(line)); },
      result);
  const runtime::TextScore score = scorer.finish();
  if (score.tokens == 0) fail("{}: wanted a text with tokens to mask, found none", files.text);
  result.loss = {.nats = -score.log_probability, .tokens = score.tokens};
  return result;
}

// The same of a model whose tokens are bytes; a limit of lines is kept to a buffer's length.
void read_as_bytes(const LossTools& tools, const TestFiles& files,
                   const std::function<void(int64_t)>& advanced, runtime::TextScorer& scorer,
                   FileLoss& result) {
  const auto stream = text::open_bytes(files.text);
  std::array<char, 1 << 16> buffer;
  int64_t unknown = 0;
  while (goes_on(files, result)) {
    const size_t got = stream->read(buffer);
    if (got == 0) break;
    const std::vector<int32_t> ids = tools.bundle.target.encode({buffer.data(), got});
    unknown += std::ranges::count(ids, text::kUnknownId);
    scorer.add_piece(ids);
    result.bytes += ids.size();
    advanced(static_cast<int64_t>(stream->newlines() - result.lines));
    result.lines = stream->newlines();
  }
  if (unknown > 0) {
    spdlog::warn("{}: {} bytes have values that the training text has not; each counts as the unknown symbol",
                 files.text, unknown);
  }
}

}  // namespace

FileLoss text_loss(const LossTools& tools, const TestFiles& files, int64_t block_tokens,
                   const std::function<void(int64_t)>& advanced) {
  if (config::is_masked_lm(tools.model.config())) return masked_loss(tools, files, block_tokens, advanced);
  FileLoss result;
  result.of_bytes = tools.bundle.target.byte_vocabulary() != nullptr;
  runtime::TextScorer scorer(tools.model,
                             block_tokens > 0 ? block_tokens : runtime::block_of(tools.model.config()),
                             tools.search, tools.pool);
  if (result.of_bytes) {
    read_as_bytes(tools, files, advanced, scorer, result);
  } else {
    const auto add = [&](const std::string& line) {
      scorer.add(tools.bundle.target.encode(line));
      result.words += text::count_words_and_ends({&line, 1});
      result.bytes += line.size() + 1;
    };
    read_lines(files, advanced, add, result);
  }
  const runtime::TextScore score = scorer.finish();
  result.loss = {.nats = -score.log_probability, .tokens = score.tokens};
  return result;
}

}  // namespace megin::cli
